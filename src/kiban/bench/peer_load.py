"""What every side stores and is asked: a judged folder, cut and embedded once, as it is or grown by noise."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kiban.bench import beir, kept
from kiban.bench.beir import JudgedQuestion
from kiban.bench.kept import KeptEmbedder, Vectors
from kiban.ingest.chunking import embedding_text
from kiban.ports import Progress, Tokenizer
from kiban.retrieve import decompose

NOISE = 0.35  # length of the noise beside a unit vector: cosine 0.94 to the real one, as between near chunks


@dataclass(frozen=True, slots=True)
class PeerLoad:
    """Chunks are named by their number. Without `asked`, only times can be measured."""

    name: str
    document_of: list[str]  # of each chunk
    texts: list[str]
    terms: list[list[str]]
    vectors: Vectors
    asked: list[JudgedQuestion]
    questions: list[str]
    question_terms: list[list[str]]
    question_vectors: Vectors
    parts: list[str]  # of questions in two parts: our search asks for each, too
    part_terms: list[list[str]]
    part_vectors: Vectors
    embed_seconds: float
    embed_query_ms: float

    @property
    def chunks(self) -> int:
        return len(self.texts)

    @property
    def documents(self) -> int:
        return len(set(self.document_of))

    def write(self, folder: Path) -> None:
        """Write it as infra/bench/peers/speak.py reads it."""
        np.save(folder / "chunks.npy", self.vectors)
        np.save(folder / "questions.npy", self.question_vectors)
        np.save(folder / "parts.npy", self.part_vectors)
        chunks = zip(self.document_of, self.texts, self.terms, strict=True)
        _write(folder / "chunks.jsonl", ({"document": d, "text": t, "terms": w} for d, t, w in chunks))
        asked = zip(self.questions, self.question_terms, strict=True)
        _write(folder / "questions.jsonl", ({"text": text, "terms": terms} for text, terms in asked))
        parts = zip(self.parts, self.part_terms, strict=True)
        _write(folder / "parts.jsonl", ({"text": text, "terms": terms} for text, terms in parts))


def read(
    folder: Path, name: str, tokenizer: Tokenizer, embedder: KeptEmbedder, *, limit: int, progress: Progress
) -> PeerLoad:
    """Cut and embed a folder. Raises SettingsError when it is not in BEIR layout."""
    before = embedder.seconds
    found = [(arrivals, rows) for arrivals, rows in kept.corpus(folder, tokenizer, embedder, progress)]
    seconds = embedder.seconds - before
    pieces = [(one, chunk) for arrivals, _ in found for one in arrivals for chunk in one.chunks]
    # The number makes texts that are equal different, for those who look vectors up by text.
    texts = [f"{embedding_text(one.title, chunk)} ‹{n}›" for n, (one, chunk) in enumerate(pieces)]
    vectors = np.concatenate([rows for _, rows in found])
    asked = list({question.text: question for question in beir.questions(folder, limit)}.values())
    began = time.perf_counter()
    question_vectors = _asked_for([question.text for question in asked], embedder, vectors.shape[1])
    each = (time.perf_counter() - began) / len(asked) * 1000
    parts = list(dict.fromkeys(part for question in asked for part in decompose.parts(question.text)))
    return PeerLoad(
        name,
        [one.file.uri for one, _ in pieces],
        texts,
        [list(chunk.terms) for _, chunk in pieces],
        vectors,
        asked,
        [question.text for question in asked],
        [tokenizer.terms(question.text) for question in asked],
        question_vectors,
        parts,
        [tokenizer.terms(part) for part in parts],
        _asked_for(parts, embedder, vectors.shape[1]),
        seconds,
        each,
    )


def grown(load: PeerLoad, chunks: int, seed: int = 7) -> PeerLoad:
    """Return the load repeated to `chunks` chunks: real texts and terms, vectors moved by noise of length
    NOISE, so that no two are equal. For times alone: nobody has judged it."""
    drawn = np.random.default_rng(seed)
    source = np.arange(chunks) % load.chunks
    noise = drawn.standard_normal((chunks, load.vectors.shape[1]), dtype=np.float32)
    noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors = load.vectors[source] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return PeerLoad(
        f"{load.name} grown to {chunks:,} chunks",
        [f"{load.document_of[at]}~{copy // load.chunks}" for copy, at in enumerate(source)],
        [f"{load.texts[at]} ‹{copy}›" for copy, at in enumerate(source)],
        [load.terms[at] for at in source],
        vectors,
        [],
        load.questions,
        load.question_terms,
        load.question_vectors,
        load.parts,
        load.part_terms,
        load.part_vectors,
        0.0,
        load.embed_query_ms,
    )


def _asked_for(texts: Sequence[str], embedder: KeptEmbedder, dimensions: int) -> Vectors:
    return np.array([embedder.query(text) for text in texts], dtype=np.float32).reshape(-1, dimensions)


def _write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
