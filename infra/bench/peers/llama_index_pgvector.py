"""LlamaIndex with its Postgres vector store, set up as its documentation shows."""

from __future__ import annotations

from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.vector_stores.postgres import PGVectorStore
from speak import Load, serve

KNOWN: dict[str, list[float]] = {}


class LookUp(BaseEmbedding):
    """The shared embedder."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return KNOWN[text]

    def _get_query_embedding(self, query: str) -> list[float]:
        return KNOWN[query]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return KNOWN[query]


class LlamaIndex:
    """HNSW with the parameters of its documentation, an ingestion pipeline that knows what it has seen."""

    embeds_again = False

    def __init__(self, load: Load) -> None:
        self._load = load
        KNOWN.update(load.vector_of())
        store = PGVectorStore.from_params(
            connection_string=f"postgresql+psycopg2://{load.url}",
            async_connection_string=f"postgresql+asyncpg://{load.url}",
            table_name="llamaindex",
            embed_dim=load.vectors.shape[1],
            hnsw_kwargs={
                "hnsw_m": 16,
                "hnsw_ef_construction": 64,
                "hnsw_ef_search": 200,
                "hnsw_dist_method": "vector_cosine_ops",
            },
        )
        embedder = LookUp(embed_batch_size=1024)
        self._index = VectorStoreIndex.from_vector_store(store, embed_model=embedder)
        self._pipeline = IngestionPipeline(
            transformations=[embedder],
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS,
            vector_store=store,
        )

    def ingest(self) -> None:
        nodes = [TextNode(id_=str(number), text=text) for number, text in enumerate(self._load.texts)]
        self._pipeline.run(nodes=nodes)

    def again(self) -> None:
        self.ingest()

    def ask(self, number: int, k: int) -> list[int]:
        retriever = self._index.as_retriever(similarity_top_k=k)
        return [int(found.node.node_id) for found in retriever.retrieve(self._load.questions[number])]


if __name__ == "__main__":
    serve(LlamaIndex, "llama-index-core", "llama-index-vector-stores-postgres")
