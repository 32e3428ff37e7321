"""What the scale bench is made of: real passages and questions, embedded once, and noise up to any size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kiban.bench import beir, kept
from kiban.bench.kept import KeptEmbedder
from kiban.errors import SettingsError
from kiban.ports import Progress, Tokenizer

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
    embedder: Callable[[], KeptEmbedder],
    passages: int = 8000,
    progress: Progress = lambda done, total, what: None,
) -> Material:
    """Read and embed so many passages of folders in BEIR layout, or take what an earlier run kept in `cache`.

    Raises SettingsError when there is nothing to take.
    """
    if not (cache / "texts.json").exists():
        if not folders:
            raise SettingsError(
                "the first run needs a folder in BEIR layout.", mend="kiban bench scale FOLDER"
            )
        turned, chance = embedder(), np.random.default_rng(7)
        said: list[list[str]] = []
        rows: list[Matrix] = []
        questions: list[str] = []
        for folder in folders:
            for arrivals, found in kept.corpus(folder, tokenizer, turned, progress):
                said += [list(chunk.terms) for one in arrivals for chunk in one.chunks]
                rows.append(found)
            questions += [question.text for question in beir.questions(folder, 100)]
        chosen = chance.permutation(len(said))[:passages]
        cache.mkdir(parents=True, exist_ok=True)
        np.save(cache / "passages.npy", np.concatenate(rows)[chosen])
        np.save(cache / "questions.npy", [turned.query(text) for text in questions])
        told = [[said[at] for at in chosen], [tokenizer.terms(text) for text in questions]]
        (cache / "texts.json").write_text(json.dumps(told, ensure_ascii=False))
    terms, question_terms = json.loads((cache / "texts.json").read_text())
    vectors = _unit(np.load(cache / "passages.npy"))
    asked = _unit(np.load(cache / "questions.npy"))
    centres = _centres(vectors)
    return Material(
        terms, vectors, _nearest(vectors, centres), question_terms, asked, _nearest(asked, centres)
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """What chunks are made of, one row each. The texts are left where they are: see `terms_of`."""

    zones: NDArray[np.int64]  # of ZONES
    ones: NDArray[np.int64]  # the passage that gives the vector and half of the terms
    others: NDArray[np.int64]  # the passage that gives the other half
    seeds: NDArray[np.int64]  # of which halves
    vectors: Matrix


def draw(material: Material, chunks: int, chance: np.random.Generator) -> Drawn:
    """Draw chunks in random order of zones: a real passage's vector plus noise, half of its terms, half of
    those of another one on its topic, and one term of its own."""
    shares = np.array([share for share, _ in ZONES])
    zones = chance.choice(len(ZONES), chunks, p=shares / shares.sum())
    of = [owned(zone) for zone in range(len(ZONES))]
    starts, lengths = np.array([one.start for one in of]), np.array([len(one) for one in of])
    mine = chance.random(chunks) < OWN
    topics = np.where(mine, starts[zones], 0) + _below(np.where(mine, lengths[zones], TOPICS), chance)
    by_topic = np.argsort(material.topics, kind="stable")
    first = np.searchsorted(material.topics[by_topic], np.arange(TOPICS + 1))
    many = np.maximum(np.diff(first), 1)[topics]
    ones, others = (by_topic[first[topics] + _below(many, chance)] for _ in range(2))
    noise = chance.standard_normal((chunks, material.vectors.shape[1]), dtype=np.float32)
    noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    seeds = chance.integers(1 << 30, size=chunks)
    return Drawn(zones, ones, others, seeds, _unit(material.vectors[ones] + noise))


def make(material: Material, chunks: int, seed: int = 7) -> Iterator[Made]:
    """Yield chunks, drawn by `seed`."""
    drawn = draw(material, chunks, np.random.default_rng(seed))
    for at in range(chunks):
        terms = terms_of(material, int(drawn.ones[at]), int(drawn.others[at]), int(drawn.seeds[at]), at)
        yield Made(int(drawn.zones[at]), tuple(terms), drawn.vectors[at])


def terms_of(material: Material, one: int, other: int, seed: int, number: int) -> list[str]:
    """Return half of one passage's terms, half of the other's, and a term that no other chunk has."""
    unique = hashlib.sha256(str(number).encode()).hexdigest()[:10]
    return [*_half(material.terms[one], seed), *_half(material.terms[other], seed >> 10), unique]


def owned(zone: int) -> range:
    """Return the topics that a zone owns: as many as its share of the chunks."""
    shares = [share for share, _ in ZONES]
    start = int(sum(shares[:zone]) * TOPICS)
    return range(start, max(start + 1, int(sum(shares[: zone + 1]) * TOPICS)))


def _half(terms: Sequence[str], seed: int) -> Sequence[str]:
    size = max(len(terms) // 2, 1)
    start = seed % (len(terms) - size + 1)
    return terms[start : start + size]


def _below(ends: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    """Draw a whole number for each end, 0 or more and below it."""
    return np.asarray((chance.random(len(ends)) * ends).astype(np.int64))


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
