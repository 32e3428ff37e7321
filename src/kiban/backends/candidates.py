"""Candidates on disk: one folder each, so that an interrupted adaptation continues where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from kiban.domain.access import Audience
from kiban.domain.evidence import Verdict
from kiban.domain.learning import Candidate, Cost, Curriculum, Question, Stage, Weights
from kiban.errors import NoSuchCandidate

Kept = TypeVar("Kept")
CURRICULUM = "curriculum.json"
STAGES = "stages.json"


@dataclass(frozen=True, slots=True)
class CandidateFolder:
    """Everything that belongs to one candidate. What is there is complete: files appear by renaming."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def embedder(self) -> Path:
        return self.path / "embedder"

    @property
    def reranker(self) -> Path:
        return self.path / "reranker"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def keep_curriculum(self, curriculum: Curriculum, held_out: tuple[Question, ...]) -> None:
        self._write("held_out.json", tuple[Question, ...], held_out)
        self._write(CURRICULUM, Curriculum, curriculum)

    def curriculum(self) -> Curriculum:
        return self._read(CURRICULUM, Curriculum)

    def held_out(self) -> tuple[Question, ...]:
        return self._read("held_out.json", tuple[Question, ...])

    def keep_stages(self, stages: Sequence[Stage]) -> None:
        self._write(STAGES, tuple[Stage, ...], tuple(stages))

    def stages(self) -> tuple[Stage, ...]:
        """Return how the curriculum came about; nothing for one that was made before this was kept."""
        if not (self.path / STAGES).exists():
            return ()
        return self._read(STAGES, tuple[Stage, ...])

    def keep_candidate(self, candidate: Candidate) -> None:
        self._write("candidate.json", Candidate, candidate)

    def candidate(self) -> Candidate:
        return self._read("candidate.json", Candidate)

    def keep_cost(self, part: str, cost: Cost) -> None:
        self._write(f"{part}.cost.json", Cost, cost)

    def costs(self) -> dict[str, Cost]:
        """Return what was kept, by part: "adapter", "embedder", …"""
        names = sorted(path.name for path in self.path.glob("*.cost.json"))
        return {name.removesuffix(".cost.json"): self._read(name, Cost) for name in names}

    def keep_verdict(self, verdict: Verdict) -> None:
        self._write("verdict.json", Verdict, verdict)

    def verdict(self) -> Verdict | None:
        return self._read("verdict.json", Verdict) if (self.path / "verdict.json").exists() else None

    def keep_probabilities(self, judged: list[list[float]]) -> None:
        """Keep what the adapter made of the canaries when it was judged."""
        self._write("probabilities.json", list[list[float]], judged)

    def probabilities(self) -> list[list[float]] | None:
        """Return them; None for a candidate that was not judged, or judged before they were kept."""
        kept = (self.path / "probabilities.json").exists()
        return self._read("probabilities.json", list[list[float]]) if kept else None

    def once(self, place: Path, make: Callable[[Path], Weights]) -> Weights:
        """Return the weights at `place`; make them first, beside it, if they are missing."""
        if not place.exists():
            half = place.with_name(f"{place.name}.part")  # stays when interrupted: trainers resume there
            half.mkdir(parents=True, exist_ok=True)
            make(half)
            half.rename(place)
        return Weights.of(place)

    def _write(self, name: str, kind: type[Kept], value: Kept) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        half = self.path / f"{name}.part"
        half.write_bytes(TypeAdapter(kind).dump_json(value, indent=1))
        half.rename(self.path / name)

    def _read(self, name: str, kind: type[Kept]) -> Kept:
        try:
            return TypeAdapter(kind).validate_json((self.path / name).read_bytes())
        except FileNotFoundError as error:
            raise NoSuchCandidate(f"{self.id} has no {name}.") from error


@dataclass(frozen=True, slots=True)
class CandidateShelf:
    """The folders of all candidates."""

    root: Path

    def begin(self, *recipe: object) -> CandidateFolder:
        """Return the folder of what a recipe makes: the same recipe, the same folder."""
        return self.folder(hashlib.sha256(repr(recipe).encode()).hexdigest()[:12])

    def folder(self, candidate_id: str) -> CandidateFolder:
        return CandidateFolder(self.root / candidate_id)

    def all(self) -> list[CandidateFolder]:
        """Return the folders of those that were made to the end, the newest first."""
        complete = sorted(
            self.root.glob("*/candidate.json"), key=lambda path: path.stat().st_mtime, reverse=True
        )
        return [self.folder(path.parent.name) for path in complete]

    def embedders(self) -> set[str]:
        """Return the hashes of all embedders that were trained here."""
        made = (
            self.folder(path.parent.name).candidate().embedder for path in self.root.glob("*/candidate.json")
        )
        return {embedder.sha256 for embedder in made if embedder}

    def zones(self) -> set[Audience]:
        """Return whom any candidate was trained for."""
        return {
            self.folder(path.parent.name).candidate().audience for path in self.root.glob("*/candidate.json")
        }

    def exams(self) -> Iterator[tuple[Question, ...]]:
        """Yield the questions that each candidate was, or will be, judged by."""
        for path in sorted(self.root.glob("*/held_out.json")):
            yield self.folder(path.parent.name).held_out()

    def find(self, candidate_id: str | None = None) -> CandidateFolder:
        """Return a candidate's folder, or the newest one's. Raises NoSuchCandidate."""
        complete = {path.parent.name: path.stat().st_mtime for path in self.root.glob("*/candidate.json")}
        chosen = candidate_id or max(complete, key=lambda name: complete[name], default=None)
        if chosen not in complete:
            raise NoSuchCandidate(f"Known: {', '.join(sorted(complete)) or 'none'}.", mend="kiban adapt")
        return self.folder(chosen)

    def holding(self, sha256: str) -> CandidateFolder | None:
        """Return the folder of the candidate that these weights belong to; None if there is none."""
        for path in sorted(self.root.glob("*/candidate.json")):
            candidate = self.folder(path.parent.name).candidate()
            made = (candidate.adapter, candidate.embedder, candidate.reranker, candidate.llm)
            if sha256 in {weights.sha256 for weights in made if weights}:
                return self.folder(candidate.id)
        return None
