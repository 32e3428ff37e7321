"""What operators and auditors see of the house. A right lets nobody read more: a document that somebody may
not read is counted for them, and has no name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from kiban.domain.access import Principal
from kiban.domain.document import DocumentState
from kiban.domain.learning import Candidate
from kiban.domain.office import (
    AnswerLineage,
    DocumentLineage,
    DocumentsSeen,
    Judged,
    Learnt,
    Overview,
    ReleaseLine,
)
from kiban.domain.record import AnswerRecord
from kiban.domain.release import Release
from kiban.errors import NoSuchRelease
from kiban.release import ledger
from kiban.stack import environment
from kiban.wiring.documents import Documents
from kiban.wiring.furniture import Furniture

SHOWN = 200  # rows of a list


class Office:
    """Reads what there is, and changes nothing."""

    def __init__(self, furniture: Furniture, documents: Documents) -> None:
        self._furniture = furniture
        self._documents = documents

    def overview(self) -> Overview:
        settings, sources = self._furniture.settings, tuple(self._documents.outlook())
        return Overview(
            states=self._states(),
            sources=sources,
            in_force=release.id if (release := self._in_force()) else "",
            prefect=environment.prefect_api(settings).removesuffix("/api"),
            mlflow=environment.mlflow_uri(settings),
        )

    def documents(self, state: DocumentState | None, who: Principal) -> DocumentsSeen:
        """Return what is in a state, or all there is."""
        every = self._furniture.index.documents(who)
        seen = [one for one in every if state in (None, one.state)]
        states = self._states()
        total = sum(states.values()) if state is None else states.get(state, 0)
        newest = sorted(seen, key=lambda one: one.since, reverse=True)
        return DocumentsSeen(tuple(newest[:SHOWN]), max(total - len(seen), 0))

    def releases(self) -> list[ReleaseLine]:
        """Return the ledger, the newest entry first."""
        kept, tainted = self._furniture.ledger, self._furniture.ledger.tainted()
        lines = []
        for entry in reversed(kept.entries()):
            release = kept.release(entry.release_id)
            judged = Path(entry.evidence).parent.name if entry.evidence.endswith("report.html") else ""
            lines.append(ReleaseLine(entry, release, bool(release.curricula & tainted.keys()), judged))
        return lines

    def judged(self) -> list[Judged]:
        """Return every candidate with its verdict, the newest first."""
        folders = self._furniture.candidates.all()
        return [Judged(folder.candidate(), folder.verdict()) for folder in folders]

    def answers(self, before: int | None) -> list[AnswerRecord]:
        """Return the newest lines of the record of answers, or those before one of them."""
        return self._furniture.records.newest(SHOWN // 4, before)

    def answer(self, seq: int, who: Principal) -> AnswerLineage | None:
        """Return what one answer was made from; None if there is no such line."""
        found = self._furniture.records.newest(1, seq + 1)
        if not found or found[0].seq != seq:
            return None
        (record,) = found
        ids = sorted({shown.document_id for shown in record.what.shown})
        documents = {one.id: one for one in self._furniture.index.documents(who, ids)}
        release = self._release(record.what.release_id)
        made = [one for one in self.judged() if release and _holds(release, one.candidate)]
        return AnswerLineage(record, documents, release, tuple(made))

    def lineage(self, document_id: int, who: Principal) -> DocumentLineage | None:
        """Return where a document went; None for one that is not for `who`."""
        found = self._furniture.index.documents(who, [document_id])
        if not found:
            return None
        kept, tainted = self._furniture.ledger, self._furniture.ledger.tainted()
        named = [kept.release(entry.release_id) for entry in kept.entries()]
        candidates = [one.candidate for one in self.judged()]
        learnt = tuple(
            Learnt(
                sha256,
                version,
                tuple(one.id for one in candidates if one.curriculum_sha256 == sha256),
                tuple(dict.fromkeys(release.id for release in named if sha256 in release.curricula)),
                sha256 in tainted,
            )
            for sha256, version in kept.learnt_from(document_id)
        )
        now = self._in_force()
        saw = {one.curriculum_sha256 for one in learnt}
        return DocumentLineage(found[0], learnt, bool(now and saw & now.curricula))

    def _states(self) -> dict[str, int]:
        return dict(sum((Counter(one.states) for one in self._documents.status()), Counter[str]()))

    def _in_force(self) -> Release | None:
        try:
            return ledger.in_force(self._furniture.ledger)
        except NoSuchRelease:
            return None

    def _release(self, release_id: str) -> Release | None:
        try:
            return self._furniture.ledger.release(release_id)
        except NoSuchRelease:
            return None


def _holds(release: Release, candidate: Candidate) -> bool:
    """Tell whether a release has weights of a candidate."""
    made = {one.sha256 for one in (candidate.adapter, candidate.embedder, candidate.reranker) if one}
    held = {release.embedder_sha256, release.reranker_sha256, *(one.sha256 for one in release.adapters)}
    return bool(made & held)
