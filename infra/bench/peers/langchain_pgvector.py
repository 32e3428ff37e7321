"""LangChain with its Postgres vector store, set up as its documentation shows."""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import HNSWIndex, HNSWQueryOptions
from speak import Load, serve

TABLE = "vectorstore"


class LookUp(Embeddings):
    """The shared embedder."""

    def __init__(self, known: dict[str, list[float]]) -> None:
        self._known = known

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self._known[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._known[text]


class LangChain:
    """HNSW, fed by the indexing API, which knows what it has seen (here in memory, its fastest way)."""

    embeds_again = False

    def __init__(self, load: Load) -> None:
        self._load = load
        engine = PGEngine.from_connection_string(f"postgresql+psycopg://{load.url}")
        engine.init_vectorstore_table(table_name=TABLE, vector_size=load.vectors.shape[1])
        self._store = PGVectorStore.create_sync(
            engine=engine,
            table_name=TABLE,
            embedding_service=LookUp(load.vector_of()),
            index_query_options=HNSWQueryOptions(ef_search=200),
        )
        self._seen = InMemoryRecordManager(namespace=TABLE)
        self._seen.create_schema()

    def ingest(self) -> None:
        self._index()
        self._store.apply_vector_index(HNSWIndex())

    def again(self) -> None:
        self._index()

    def ask(self, number: int, k: int) -> list[int]:
        found = self._store.similarity_search(self._load.questions[number], k=k)
        return [document.metadata["number"] for document in found]

    def _index(self) -> None:
        documents = [
            Document(page_content=text, metadata={"number": number})
            for number, text in enumerate(self._load.texts)
        ]
        index(
            documents,
            self._seen,
            self._store,
            cleanup=None,
            batch_size=1024,
            key_encoder="sha1",  # the only one whose keys are uuids, which its table wants
        )


if __name__ == "__main__":
    serve(LangChain, "langchain-core", "langchain-postgres")
