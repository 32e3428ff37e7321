"""How the house stands, for those who run it. What somebody may not read is counted here, and not named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kiban.domain.document import Document, SourceOutlook
from kiban.domain.evidence import Verdict
from kiban.domain.learning import Candidate
from kiban.domain.record import AnswerRecord
from kiban.domain.release import LedgerEntry, Release


@dataclass(frozen=True, slots=True)
class Overview:
    """The house at a glance."""

    states: Mapping[str, int]  # all documents by state
    sources: tuple[SourceOutlook, ...]
    in_force: str  # the release that answers; "" before the house was founded
    prefect: str  # the address of each one's own pages
    mlflow: str


@dataclass(frozen=True, slots=True)
class DocumentsSeen:
    """Documents of one state, or of all: those that the viewer may read, and how many there are besides."""

    seen: tuple[Document, ...]  # the latest to change first
    others: int


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """One line of the ledger, with what it names."""

    entry: LedgerEntry
    release: Release
    tainted: bool  # weights of it learnt from what is gone, or is for fewer people now
    candidate: str  # whose verdict is its evidence; "" where there is none


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate, and its verdict if it has one."""

    candidate: Candidate
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class AnswerLineage:
    """What an answer was made from and with."""

    record: AnswerRecord
    documents: Mapping[int, Document]  # by id, those of its passages that the viewer may read
    release: Release | None  # None where it was never written down
    candidates: tuple[Judged, ...]  # whose weights the release has


@dataclass(frozen=True, slots=True)
class Learnt:
    """Weights that saw a document: what they were taught, and where they went from there."""

    curriculum_sha256: str
    version: int  # of the document
    candidates: tuple[str, ...]
    releases: tuple[str, ...]  # that named such weights, the oldest first
    tainted: bool


@dataclass(frozen=True, slots=True)
class DocumentLineage:
    """Where a document went."""

    document: Document
    learnt: tuple[Learnt, ...]
    in_force: bool  # weights that saw it answer now
