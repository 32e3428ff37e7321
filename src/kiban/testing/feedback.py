"""A feedback box in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from kiban.domain.access import Audience, Principal
from kiban.domain.feedback import Decision, Feedback
from kiban.errors import NoSuchFeedback


class MemoryFeedback:
    """A FeedbackBox in a dict. `audience` says who may read a document."""

    def __init__(self, audience: Callable[[int], Audience]) -> None:
        self._audience = audience
        self._kept: dict[int, Feedback] = {}

    def keep(self, given: Feedback) -> int:
        number = len(self._kept) + 1
        self._kept[number] = replace(given, id=number, at=datetime.now(UTC), decisions=())
        return number

    def visible(self, who: Principal) -> list[Feedback]:
        return [
            one
            for one in reversed(self._kept.values())
            if one.evidence and who.may_read(self._audience(one.evidence.document_id))
        ]

    def all(self) -> list[Feedback]:
        return list(self._kept.values())

    def decide(self, feedback_id: int, who: Principal, approves: bool, reason: str) -> Feedback:
        if feedback_id not in {one.id for one in self.visible(who)}:
            raise NoSuchFeedback(str(feedback_id))
        one = self._kept[feedback_id]
        others = (decision for decision in one.decisions if decision.curator != who.subject)
        said = Decision(who.subject, datetime.now(UTC), approves, reason)
        self._kept[feedback_id] = replace(one, decisions=(*others, said))
        return self._kept[feedback_id]
