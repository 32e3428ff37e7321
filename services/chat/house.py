"""What the chat service needs from the house behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kiban.domain.access import Principal
from kiban.domain.conversation import Conversation, Exchange
from kiban.domain.credentials import Journey
from kiban.domain.document import Document, DocumentState
from kiban.domain.feedback import Feedback
from kiban.domain.office import (
    AnswerLineage,
    DocumentLineage,
    DocumentsSeen,
    Judged,
    Overview,
    ReleaseLine,
)
from kiban.domain.question import (
    EVERYTHING,
    NO_TOOLS,
    PROSE,
    Answer,
    Choices,
    Embedded,
    Form,
    Found,
    Passage,
    Scope,
    Tools,
    Turn,
)
from kiban.domain.record import AnswerRecord
from kiban.domain.roles import Caller
from kiban.domain.standing import Standing
from kiban.domain.text import Span


class ChatHouse(Protocol):
    """`kiban.wiring.House`, as far as the chat service knows it. Plain functions may block: each is called
    in a thread."""

    def open(self) -> AbstractAsyncContextManager[object]:
        """Keep open what answers are given through, for as long as the service runs."""
        ...

    def caller(self, token: str) -> Caller:
        """Return who calls, and what they may do. Raises IdentityError."""
        ...

    def find(self, question: str, who: Principal, limit: int) -> list[Passage]:
        """Return what `who` may read about the question, best first."""
        ...

    def search(
        self, question: str, who: Principal, limit: int, lanes: Sequence[str], scope: Scope = EVERYTHING
    ) -> Found:
        """Search in these lanes, and say by which release."""
        ...

    def answer(
        self,
        question: str,
        history: Sequence[Turn],
        who: Principal,
        form: Form = PROSE,
        scope: Scope = EVERYTHING,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | Answer]:
        """Yield text, and last the whole Answer."""
        ...

    def embed(self, texts: Sequence[str], *, as_queries: bool) -> Embedded:
        """Return vectors of the space that the release in force searches in."""
        ...

    def documents(self, who: Principal) -> list[Document]:
        """Return the documents that `who` may read, in whatever state."""
        ...

    def document(self, document_id: int, who: Principal) -> list[Passage]:
        """Return a document's passages in reading order; none when it is absent or not for `who`."""
        ...

    def release_id(self, who: Principal) -> str:
        """Return the release that answers `who` now."""
        ...

    def token_issuer(self) -> str | None:
        """Return the OpenID provider whose tokens are taken; None when this house signs its own."""
        ...

    def ready(self) -> dict[str, str]:
        """Return each part of the stack with "ok" or what is wrong with it."""
        ...


class Views(Protocol):
    """`kiban.wiring.Views`, as far as the chat service knows it. Each function may block."""

    def standing(self, ids: Sequence[int], who: Principal) -> list[Standing]:
        """Return how those of these documents stand that `who` may read."""
        ...

    def choices(self, who: Principal) -> Choices:
        """Return what `who` can narrow a question to."""
        ...

    def page(self, document_id: int, version: int, number: int, quoted: Span, who: Principal) -> bytes:
        """Return a page of a PDF as PNG, with `quoted` marked. Raises a DocumentError where there is none."""
        ...


class Entry(Protocol):
    """`kiban.wiring.Identity`, as far as the page's logging in goes. Each function may block."""

    @property
    def takes_passwords(self) -> bool:
        """Tell whether people log in with passwords of this house."""
        ...

    @property
    def over_tls(self) -> bool:
        """Tell whether browsers reach the page by https."""
        ...

    @property
    def session_seconds(self) -> int:
        """Return how long a session lasts."""
        ...

    def log_in(self, name: str, password: str) -> str:
        """Return the token of a new session. Raises IdentityError."""
        ...

    @property
    def takes_journeys(self) -> bool:
        """Tell whether people log in at an OpenID provider."""
        ...

    def begin_journey(self) -> tuple[str, Journey]:
        """Return the address to log in at, and what the browser must bring back. Raises PartUnavailable,
        IdentityError."""
        ...

    def end_journey(self, journey: Journey, brought: Mapping[str, str]) -> str:
        """Return the token of a new session of who came back. Raises IdentityError, PartUnavailable."""
        ...

    def log_out(self, token: str) -> None:
        """End a session. Raises IdentityError for what is none."""
        ...


class Office(Protocol):
    """`kiban.wiring.Office`, as far as the chat service knows it. Each function may block."""

    def overview(self) -> Overview:
        """Return the house at a glance."""
        ...

    def documents(self, state: DocumentState | None, who: Principal) -> DocumentsSeen:
        """Return what is in a state, or all there is."""
        ...

    def releases(self) -> list[ReleaseLine]:
        """Return the ledger, the newest entry first."""
        ...

    def judged(self) -> list[Judged]:
        """Return every candidate with its verdict, the newest first."""
        ...

    def answers(self, before: int | None) -> list[AnswerRecord]:
        """Return the newest lines of the record of answers, or those before one of them."""
        ...

    def answer(self, seq: int, who: Principal) -> AnswerLineage | None:
        """Return what one answer was made from; None if there is no such line."""
        ...

    def lineage(self, document_id: int, who: Principal) -> DocumentLineage | None:
        """Return where a document went; None for one that is not for `who`."""
        ...


class Desk(Protocol):
    """`kiban.wiring.FeedbackDesk`, as far as the chat service knows it. Each function may block."""

    def give(self, given: Feedback, who: Principal) -> int:
        """Keep what `who` says of an answer. Raises NotVerbatim."""
        ...

    def waiting(self, curator: Principal) -> list[Feedback]:
        """Return what waits for curators. Raises NotPermitted."""
        ...

    def decide(self, feedback_id: int, curator: Principal, *, approves: bool, reason: str = "") -> Feedback:
        """Note a curator's word. Raises NotPermitted, NoSuchFeedback."""
        ...


class Conversations(Protocol):
    """`kiban.wiring.Conversations`, as far as the chat service knows it. Each function may block."""

    def begin(self, who: Principal) -> str:
        """Return the id of a new conversation."""
        ...

    def has(self, id: str, who: Principal) -> bool:
        """Tell whether `who` has such a conversation."""
        ...

    def add(self, id: str, who: Principal, question: str, answer: Answer) -> None:
        """Keep what was said, unless `who` has no such conversation."""
        ...

    def all(self, who: Principal) -> list[Conversation]:
        """Return the conversations of `who`, newest first."""
        ...

    def read(self, id: str, who: Principal) -> list[Exchange]:
        """Return what was said; nothing for a conversation that `who` does not have."""
        ...

    def delete(self, id: str, who: Principal) -> bool:
        """Forget a conversation; tell whether `who` had it."""
        ...
