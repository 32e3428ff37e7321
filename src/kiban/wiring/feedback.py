"""Answer → Feedback: given by whoever may read the place, decided by curators."""

from __future__ import annotations

from dataclasses import replace

from kiban.adapt.feedback import prove
from kiban.domain.access import Principal
from kiban.domain.feedback import Feedback
from kiban.errors import NotPermitted
from kiban.wiring.furniture import Furniture
from kiban.wiring.watching import Watching


class FeedbackDesk:
    """What the chat service and the command line do with feedback."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._watching = Watching(furniture)

    def give(self, given: Feedback, who: Principal) -> int:
        """Keep what `who` says. Evidence is taken only if `who` may read it and it stands there verbatim.

        Raises NotVerbatim.
        """
        about = given.evidence.document_id if given.evidence else None
        passages = self._furniture.index.read(who, about) if about is not None else []
        said = replace(prove(given, passages), author=who.subject)
        kept = self._furniture.feedback.keep(said)
        self._watching.rated(said)
        return kept

    def waiting(self, curator: Principal) -> list[Feedback]:
        """Return what could teach something and has neither been approved nor refused, newest first.

        Raises NotPermitted for who is no curator.
        """
        self._require_curator(curator)
        seen = self._furniture.feedback.visible(curator)
        return [one for one in seen if not one.approved and not one.refused]

    def decide(self, feedback_id: int, curator: Principal, *, approves: bool, reason: str = "") -> Feedback:
        """Note a curator's word. Raises NotPermitted for who is no curator, NoSuchFeedback."""
        self._require_curator(curator)
        return self._furniture.feedback.decide(feedback_id, curator, approves, reason)

    def _require_curator(self, who: Principal) -> None:
        group = self._furniture.settings.curators
        if group not in who.groups:
            raise NotPermitted(f"{who.subject} is not in the group {group}.")
