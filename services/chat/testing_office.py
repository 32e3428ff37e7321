"""An office in memory: what there is to see is put there by tests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kiban.domain.access import Principal
from kiban.domain.document import DocumentState, SourceOutlook
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

if TYPE_CHECKING:
    from services.chat.testing import MemoryHouse


class MemoryOffice:
    """An Office over the documents of a house in memory."""

    def __init__(self, house: MemoryHouse) -> None:
        self._house = house
        self.sources: tuple[SourceOutlook, ...] = ()
        self.elsewhere: Counter[str] = Counter()  # documents by state that nobody here may read
        self.lines: list[ReleaseLine] = []
        self.candidates: list[Judged] = []
        self.records: list[AnswerRecord] = []
        self.learnt: dict[int, tuple[Learnt, ...]] = {}  # by document

    def overview(self) -> Overview:
        states = self.elsewhere + Counter(one.state.value for one in self._house.all_documents())
        release = self.lines[0].release.id if self.lines else ""
        return Overview(dict(states), self.sources, release, "http://prefect.test", "http://mlflow.test")

    def documents(self, state: DocumentState | None, who: Principal) -> DocumentsSeen:
        states = self.overview().states
        seen = [one for one in self._house.documents(who) if state in (None, one.state)]
        total = sum(states.values()) if state is None else states.get(state, 0)
        return DocumentsSeen(tuple(seen), total - len(seen))

    def releases(self) -> list[ReleaseLine]:
        return self.lines

    def judged(self) -> list[Judged]:
        return self.candidates

    def answers(self, before: int | None) -> list[AnswerRecord]:
        return [one for one in reversed(self.records) if before is None or one.seq < before]

    def answer(self, seq: int, who: Principal) -> AnswerLineage | None:
        found = next((one for one in self.records if one.seq == seq), None)
        if found is None:
            return None
        documents = {one.id: one for one in self._house.documents(who)}
        named = (line.release for line in self.lines if line.release.id == found.what.release_id)
        return AnswerLineage(found, documents, next(named, None), tuple(self.candidates))

    def lineage(self, document_id: int, who: Principal) -> DocumentLineage | None:
        found = next((one for one in self._house.documents(who) if one.id == document_id), None)
        if found is None:
            return None
        return DocumentLineage(found, self.learnt.get(document_id, ()), bool(self.learnt.get(document_id)))
