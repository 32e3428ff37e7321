"""Answer → Conversation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kiban.domain.access import Principal
from kiban.domain.conversation import Conversation, Exchange
from kiban.domain.question import Answer
from kiban.wiring.furniture import Furniture
from kiban.wiring.policy import Policing


class Conversations:
    """What the chat service keeps for people, each of whom sees their own."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._policing = Policing(furniture)

    def begin(self, who: Principal) -> str:
        """Return the id of a new conversation. It is listed once something was said in it."""
        return self._furniture.conversations.begin(who)

    def has(self, id: str, who: Principal) -> bool:
        return self._furniture.conversations.has(id, who)

    def add(self, id: str, who: Principal, question: str, answer: Answer) -> None:
        """Keep what was said, unless `who` has no such conversation."""
        self._furniture.conversations.add(id, who, question, answer)

    def all(self, who: Principal) -> list[Conversation]:
        """Return the newest conversations of `who`, newest first."""
        return self._furniture.conversations.all(who)

    def read(self, id: str, who: Principal) -> list[Exchange]:
        """Return what was said, as far as `who` may still read it; nothing for what is not theirs."""
        said = self._furniture.conversations.read(id, who)
        return [
            replace(one, answer=self._policing.kept(one.answer, who)) if one.answer else one for one in said
        ]

    def delete(self, id: str, who: Principal) -> bool:
        """Forget a conversation; tell whether `who` had it."""
        return self._furniture.conversations.delete(id, who)

    def forget_old(self) -> int:
        """Forget what nobody has gone on with for as long as the settings say; return how many."""
        kept_for = timedelta(days=self._furniture.settings.conversation_days)
        return self._furniture.conversations.forget(datetime.now(UTC) - kept_for)
