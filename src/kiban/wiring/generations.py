"""Index generations: which there are, building one beside another, and which one answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from kiban.backends.postgres.generations import PostgresGenerations
from kiban.backends.postgres.library import PostgresLibrary
from kiban.domain.generation import IndexGeneration
from kiban.domain.learning import Weights
from kiban.domain.release import Release
from kiban.errors import GenerationInUse, NoSuchGeneration, NotEarned, UnfitGeneration
from kiban.ingest.chunking import CHUNKING, embedding_text
from kiban.ports import Embedder, Progress
from kiban.release import ledger
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import Releases

BATCH = 2048  # chunks embedded and stored together


class Generations:
    """What an operator does with the index. Nothing here stops anybody from asking or storing."""

    def __init__(self, furniture: Furniture, releases: Releases) -> None:
        self._furniture = furniture
        self._releases = releases

    @cached_property
    def _known(self) -> PostgresGenerations:
        return PostgresGenerations(self._furniture.postgres)

    def all(self) -> list[IndexGeneration]:
        return self._known.all()

    def weights(self, generation: str | None = None, embedder: str | None = None) -> Weights:
        """Return the embedder of a generation (by number, or the name of its embedder's folder), or one by
        name, folder or hub id, else that of the settings. Raises NoSuchGeneration, BadWeights."""
        if generation is None:
            return self._furniture.fetched(embedder) if embedder else self._furniture.base_embedder
        for known in reversed(self.all()):
            if generation in (str(known.id), known.embedder, Path(known.embedder).name):
                return Weights(Path(known.embedder), known.embedder_sha256)
        raise NoSuchGeneration(f"{generation}.", mend="kiban generations list")

    def build(self, embedder: str | None, rate: float | None, progress: Progress | None = None) -> int:
        """Embed every chunk with another embedder, beside the generation that answers; return its number.

        May be stopped and begun again: it continues with the chunks that lack a vector. Whatever is ingested
        meanwhile gets vectors of both. `rate` is chunks a second, at most. Raises UnfitGeneration when the
        chunks that are stored were cut by another tokeniser or chunking than this version's.
        """
        self._require_same_cut()
        furniture, weights = self._furniture, self.weights(None, embedder)
        generation = furniture.generation(weights)
        fill(
            furniture.library,
            generation,
            furniture.embedder(weights),
            rate=rate,
            progress=progress or furniture.stage("generation"),
        )
        furniture.library.tend_index(furniture.settings.graph_zone_chunks)
        return generation

    def as_release(self, generation: int) -> Release:
        """Return the release in force as it would be with this generation. Raises NoSuchGeneration."""
        known = self._known.one(generation)
        return replace(
            self._releases.in_force(),
            embedder=known.embedder,
            embedder_sha256=known.embedder_sha256,
            generation=known.id,
        )

    def flip(self, generation: int, *, actor: str, reason: str, evidence: str) -> Release:
        """Let a generation answer from now on: one entry in the ledger, which nobody else may have moved.

        `evidence` is where the comparison lies. Raises UnfitGeneration when it lacks chunks or was cut
        otherwise, NotEarned for an embedder that we trained (a verdict promotes those), ConcurrentRelease.
        """
        seen, release = self._releases.last_seen(), self.as_release(generation)
        known = self._known.one(generation)
        if known.missing:
            raise UnfitGeneration(
                f"{known.missing} of {known.chunks} chunks are missing in generation {generation}.",
                mend=f"kiban generations build --embedder {known.embedder}",
            )
        self._require_own_cut(known)
        if known.embedder_sha256 in self._furniture.candidates.embedders():
            raise NotEarned("This embedder was trained here.", mend="kiban judge, then kiban promote")
        ledger.flip(self._furniture.ledger, release, actor=actor, reason=reason, evidence=evidence, seen=seen)
        return release

    def flip_back(self, *, actor: str, reason: str) -> Release:
        """Return to the generation before. Raises NoSuchRelease when the last change was not a flip."""
        ledger.flip_back(self._furniture.ledger, actor=actor, reason=reason)
        return self._releases.in_force()

    def drop(self, generation: int) -> None:
        """Remove a generation's vectors. Raises GenerationInUse while a release that may answer uses it."""
        self._known.one(generation)
        using = [r.id for r in ledger.returnable(self._furniture.ledger) if r.generation == generation]
        if using:
            raise GenerationInUse(f"{generation}: by {', '.join(using)}.", mend="kiban history")
        self._furniture.library.drop_generation(generation)

    def _require_same_cut(self) -> None:
        for known in self.all():
            if known.vectors:
                self._require_own_cut(known)

    def _require_own_cut(self, known: IndexGeneration) -> None:
        ours = (self._furniture.tokenizer.name, CHUNKING)
        if (known.tokenizer, known.chunking) != ours:
            raise UnfitGeneration(
                f"Generation {known.id} was cut by {known.tokenizer} and {known.chunking}; this version cuts "
                f"by {ours[0]} and {ours[1]}.",
                mend="ingest into a database of its own, compare, then point postgres_dsn at it "
                "(infra/decisions/0034-generations.md)",
            )


def fill(
    library: PostgresLibrary,
    generation: int,
    embedder: Embedder,
    *,
    rate: float | None = None,
    progress: Progress = lambda done, total, what: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Give every chunk that lacks one a vector of `generation`, at most `rate` chunks a second."""
    batch = BATCH if rate is None else max(1, min(BATCH, round(rate)))
    total, done = library.counts().chunks, 0
    while True:
        began = clock()
        waiting = library.chunks_without(generation, limit=batch)
        if not waiting:
            return
        texts = [embedding_text(title, chunk) for title, chunk in waiting.values()]
        library.add_embeddings(generation, list(waiting), embedder.passages(texts))
        done += len(waiting)
        progress(done, max(total, done), "chunks")
        if rate is not None:
            sleep(max(0.0, len(waiting) / rate - (clock() - began)))
