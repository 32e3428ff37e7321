"""Haystack with its pgvector document store, set up as its documentation shows."""

from __future__ import annotations

from haystack import Document, Pipeline
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret
from haystack_integrations.components.retrievers.pgvector import PgvectorEmbeddingRetriever
from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore
from speak import Load, serve


class Haystack:
    """HNSW, written by a DocumentWriter that skips what is there, asked through a pipeline."""

    embeds_again = True  # the embedder stands before the writer

    def __init__(self, load: Load) -> None:
        self._load = load
        self._store = PgvectorDocumentStore(
            connection_string=Secret.from_token(f"postgresql://{load.url}"),
            embedding_dimension=load.vectors.shape[1],
            vector_function="cosine_similarity",
            search_strategy="hnsw",
        )
        self._pipeline = Pipeline()
        self._pipeline.add_component("retriever", PgvectorEmbeddingRetriever(document_store=self._store))

    def ingest(self) -> None:
        vectors = self._load.vectors.tolist()
        documents = [
            Document(id=str(number), content=text, embedding=vector)
            for number, (text, vector) in enumerate(zip(self._load.texts, vectors, strict=True))
        ]
        writer = DocumentWriter(self._store, policy=DuplicatePolicy.SKIP)
        for start in range(0, len(documents), 1024):
            writer.run(documents=documents[start : start + 1024])

    def again(self) -> None:
        self.ingest()

    def ask(self, number: int, k: int) -> list[int]:
        vector = self._load.question_vectors[number].tolist()
        found = self._pipeline.run({"retriever": {"query_embedding": vector, "top_k": k}})
        return [int(document.id) for document in found["retriever"]["documents"]]


if __name__ == "__main__":
    serve(Haystack, "haystack-ai", "pgvector-haystack")
