"""Index generations: which there are, building one beside another, and which one answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

from kiban.backends.postgres.cuts import PostgresCuts
from kiban.backends.postgres.generations import PostgresGenerations
from kiban.backends.postgres.library import PostgresLibrary
from kiban.domain.generation import IndexGeneration
from kiban.domain.learning import Weights
from kiban.domain.release import Release
from kiban.errors import GenerationInUse, NoSuchGeneration, NotEarned, UnfitGeneration
from kiban.ingest import recut
from kiban.ingest.chunking import Chunking, embedding_text
from kiban.ports import Detector, Embedder, Progress, Tokenizer
from kiban.release import ledger
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import Releases

BATCH = 2048  # chunks embedded and stored together
DOCUMENTS = 64  # cut and stored together


class Generations:
    """What an operator does with the index. Nothing here stops anybody from asking or storing."""

    def __init__(self, furniture: Furniture, releases: Releases) -> None:
        self._furniture = furniture
        self._releases = releases

    @cached_property
    def _known(self) -> PostgresGenerations:
        return PostgresGenerations(self._furniture.postgres)

    @cached_property
    def _cuts(self) -> PostgresCuts:
        return PostgresCuts(self._furniture.postgres)

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

    def build(
        self,
        embedder: str | None,
        rate: float | None,
        progress: Progress | None = None,
        *,
        tokenizer: str | None = None,
        chunking: str | None = None,
    ) -> int:
        """Cut every document, if need be, and embed every chunk, beside the generation that answers; return
        the new one's number.

        The tokeniser and the chunking stay those in force where none is named; so does the embedder where one
        of these is, and else it is that of the settings. May be stopped and begun again: it continues with
        what lacks. Whatever is ingested meanwhile is stored for both. `rate` is chunks a second, at most.
        Raises SettingsError for a tokeniser or chunking that there is not.
        """
        furniture, release = self._furniture, self._releases.in_force()
        now = furniture.cut_of(release.generation)
        if embedder is None and (tokenizer or chunking):
            weights = Weights(Path(release.embedder), release.embedder_sha256)
        else:
            weights = self.weights(None, embedder)
        generation = furniture.generation(weights, tokenizer or now.tokenizer, chunking or now.chunking)
        cut = furniture.cut_of(generation)
        progress = progress or furniture.stage("generation")
        self._cuts.clear()  # what a drop that was killed has left
        cut_again(
            self._cuts,
            cut.id,
            furniture.tokenizer_of(generation),
            Chunking.named(cut.chunking),
            furniture.detector,
            rate=rate,
            progress=progress,
        )
        fill(furniture.library, generation, furniture.embedder(weights), rate=rate, progress=progress)
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

        `evidence` is where the comparison lies. Raises UnfitGeneration when it lacks documents or chunks,
        SettingsError when this version cannot cut so, NotEarned for an embedder that we trained and that does
        not answer yet (a verdict promotes those), ConcurrentRelease.
        """
        seen, release = self._releases.last_seen(), self.as_release(generation)
        known = self._known.one(generation)
        if not known.whole:
            lacking = (
                f"{known.missing} of {known.chunks} chunks" if known.missing else f"{known.uncut} documents"
            )
            raise UnfitGeneration(
                f"{lacking} are missing in generation {generation}.",
                mend=f"kiban generations build --embedder {known.embedder} --tokenizer {known.tokenizer} "
                f"--chunking {known.chunking}",
            )
        self._furniture.tokenizer_of(generation), Chunking.named(known.chunking)
        trained_here = known.embedder_sha256 in self._furniture.candidates.embedders()
        if trained_here and known.embedder_sha256 != self._releases.in_force().embedder_sha256:
            raise NotEarned("This embedder was trained here.", mend="kiban judge, then kiban promote")
        ledger.flip(self._furniture.ledger, release, actor=actor, reason=reason, evidence=evidence, seen=seen)
        return release

    def flip_back(self, *, actor: str, reason: str) -> Release:
        """Return to the generation before. Raises NoSuchRelease when the last change was not a flip."""
        ledger.flip_back(self._furniture.ledger, actor=actor, reason=reason)
        return self._releases.in_force()

    def drop(self, generation: int) -> None:
        """Remove a generation's vectors, and the chunks of its cut when no other generation has it. Killed
        and begun again, it continues. Raises GenerationInUse while a release that may answer uses it."""
        self._cuts.clear()
        self._known.one(generation)
        using = [r.id for r in ledger.returnable(self._furniture.ledger) if r.generation == generation]
        if using:
            raise GenerationInUse(f"{generation}: by {', '.join(using)}.", mend="kiban history")
        self._furniture.library.drop_generation(generation)
        self._cuts.clear()
        self._furniture.library.tend_tallies()


def cut_again(
    cuts: PostgresCuts,
    cut: int,
    tokenizer: Tokenizer,
    chunking: Chunking,
    detector: Detector | None = None,
    *,
    rate: float | None = None,
    progress: Progress = lambda done, total, what: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Give every document that has no chunk of `cut` its chunks, at most `rate` chunks a second."""
    after, done = 0, 0
    while lacking := cuts.lacking(cut, after, DOCUMENTS if rate is None else 1):
        began, stored = time.monotonic(), 0
        after = lacking[-1].document_id
        for source, documents in groupby(
            sorted(lacking, key=lambda each: each.source), lambda each: each.source
        ):
            again = [
                (each, recut.again(each.title, each.chunks, tokenizer, chunking, detector))
                for each in documents
            ]
            stored += cuts.put(cut, source, again)
        done += len(lacking)
        progress(done, done, "documents")
        if rate is not None:
            sleep(max(0.0, stored / rate - (time.monotonic() - began)))


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
    total, done = library.counts().chunks, 0  # at most: those of every cut
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
