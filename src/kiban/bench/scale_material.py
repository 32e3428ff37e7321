"""What the scale bench is made of: real passages and questions, embedded once, and noise up to any size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kiban.bench import beir
from kiban.domain.access import EVERYONE, Audience
from kiban.errors import SettingsError
from kiban.ingest import chunking
from kiban.ports import Embedder, Tokenizer

Matrix = NDArray[np.float32]

# Share of the chunks, and the groups that may read them: reader "one" sees 1 %, "ten" 10 %, "half" 50 % and
# "all" everything. The last tenth lies in small zones of half a percent each.
ZONES = [(0.01, ("one", "ten", "half", "all")), (0.09, ("ten", "half", "all")), (0.40, ("half", "all"))]
ZONES += [(0.40, ("all",)), *((0.005, ("all", f"team {number}")) for number in range(20))]
OWN = 0.8  # share of a zone's chunks that are of its own topics
NOISE = 0.35  # length of the noise added to a unit vector
TOPICS = 100


@dataclass(frozen=True)
class Material:
    """Passages by topic, and questions with the topic of what answers them."""

    terms: list[list[str]]
    vectors: Matrix  # one row a passage, unit length
    topics: NDArray[np.int64]  # of passages, 0..TOPICS - 1
    question_terms: list[list[str]]
    question_vectors: Matrix
    question_topics: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Made:
    """One chunk to store."""

    zone: int  # of ZONES
    terms: tuple[str, ...]
    vector: Matrix


def gather(
    folders: Sequence[Path],
    cache: Path,
    tokenizer: Tokenizer,
    embedder: Callable[[], Embedder],
    passages: int = 8000,
) -> Material:
    """Read and embed so many passages of folders in BEIR layout, or take what an earlier run kept in `cache`.

    Raises SettingsError when there is nothing to take.
    """
    if not (cache / "texts.json").exists():
        if not folders:
            raise SettingsError(
                "the first run needs a folder in BEIR layout.", mend="kiban bench scale FOLDER"
            )
        turned, chance, texts, questions = embedder(), np.random.default_rng(7), [], []
        for folder in folders:
            for _, parsed in beir.documents(folder, Audience(frozenset({EVERYONE}))):
                texts += [(parsed.title, chunk) for chunk in chunking.cut(parsed, tokenizer)]
            questions += [question.text for question in beir.questions(folder, 100)]
        kept = [texts[n] for n in chance.permutation(len(texts))[:passages]]
        cache.mkdir(parents=True, exist_ok=True)
        np.save(cache / "passages.npy", turned.passages([chunking.embedding_text(t, c) for t, c in kept]))
        np.save(cache / "questions.npy", [turned.query(text) for text in questions])
        told = [[list(chunk.terms) for _, chunk in kept], [tokenizer.terms(text) for text in questions]]
        (cache / "texts.json").write_text(json.dumps(told, ensure_ascii=False))
    terms, question_terms = json.loads((cache / "texts.json").read_text())
    vectors = _unit(np.load(cache / "passages.npy"))
    asked = _unit(np.load(cache / "questions.npy"))
    centres = _centres(vectors)
    return Material(
        terms, vectors, _nearest(vectors, centres), question_terms, asked, _nearest(asked, centres)
    )


def make(material: Material, chunks: int, seed: int = 7) -> Iterator[Made]:
    """Yield chunks in random order of zones: a real passage's vector plus noise, half of its terms, half of
    those of another one on its topic, and one term of its own."""
    chance = np.random.default_rng(seed)
    shares = np.array([share for share, _ in ZONES])
    by_topic = [np.flatnonzero(material.topics == topic) for topic in range(TOPICS)]
    dimensions = material.vectors.shape[1]
    for number in range(chunks):
        zone = int(chance.choice(len(ZONES), p=shares / shares.sum()))
        own = owned(zone) if chance.random() < OWN else range(TOPICS)
        topic = int(own[int(chance.integers(len(own)))])
        one, other = chance.choice(by_topic[topic], 2)
        noise = chance.standard_normal(dimensions, dtype=np.float32)
        vector = material.vectors[one] + NOISE * noise / np.linalg.norm(noise)
        halves = [_half(material.terms[passage], chance) for passage in (one, other)]
        unique = hashlib.sha256(str(number).encode()).hexdigest()[:10]
        yield Made(zone, (*halves[0], *halves[1], unique), _unit(vector[None])[0])


def owned(zone: int) -> range:
    """Return the topics that a zone owns: as many as its share of the chunks."""
    shares = [share for share, _ in ZONES]
    start = int(sum(shares[:zone]) * TOPICS)
    return range(start, max(start + 1, int(sum(shares[: zone + 1]) * TOPICS)))


def _half(terms: Sequence[str], chance: np.random.Generator) -> Sequence[str]:
    size = max(len(terms) // 2, 1)
    start = int(chance.integers(len(terms) - size + 1))
    return terms[start : start + size]


def _centres(vectors: Matrix, rounds: int = 10) -> Matrix:
    """Cluster by k-means on the sphere (Dhillon & Modha 2001); an empty cluster takes a random passage."""
    chance = np.random.default_rng(7)
    centres = vectors[chance.choice(len(vectors), TOPICS, replace=len(vectors) < TOPICS)]
    for _ in range(rounds):
        of = _nearest(vectors, centres)
        means = [
            vectors[of == n].mean(axis=0) if (of == n).any() else vectors[chance.integers(len(vectors))]
            for n in range(TOPICS)
        ]
        centres = _unit(np.array(means))
    return centres


def _nearest(vectors: Matrix, centres: Matrix) -> NDArray[np.int64]:
    return np.asarray((vectors @ centres.T).argmax(axis=1))


def _unit(vectors: Matrix) -> Matrix:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)
