"""A house in memory, to test the service and its page: real tokens and permissions, a scripted model."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from zlib import crc32

import uvicorn
from fastapi import FastAPI

from kiban.adapt.feedback import prove
from kiban.answer.converse import converse
from kiban.answer.harmless import harmlessly
from kiban.backends.tokens import LOCAL_ISSUER, LocalIssuer, TokenVerifier
from kiban.domain.access import Audience, Principal
from kiban.domain.conversation import Conversation, Exchange
from kiban.domain.credentials import Journey
from kiban.domain.document import Document, DocumentState, Place
from kiban.domain.feedback import Feedback
from kiban.domain.question import (
    EVERYTHING,
    NO_TOOLS,
    PROSE,
    Answer,
    Embedded,
    Form,
    Found,
    LaneRank,
    Passage,
    Scope,
    ToolCall,
    Tools,
    Turn,
    Usage,
)
from kiban.domain.roles import Caller, RoleGroups, rights_of
from kiban.domain.text import Span, normal_form
from kiban.errors import IdentityError, NotPermitted
from kiban.testing import MemoryFeedback
from services.chat.app import create_app
from services.chat.quota import Quota
from services.chat.testing_office import MemoryOffice
from services.chat.testing_views import MemoryViews

AUDIENCE = "kiban"
Writer = Callable[[Sequence[Turn]], Sequence[str | ToolCall]]


@contextmanager
def serving(house: MemoryHouse, quota: Quota | None = None) -> Iterator[str]:
    """Serve a house on a free port of this machine; yield its URL."""
    parts = (house.desk, house.kept, house.views, house.office)
    with listening(create_app(house, *parts, quota, house.entry)) as url:
        yield url


@contextmanager
def listening(app: FastAPI, port: int = 0) -> Iterator[str]:
    """Serve an app on a port of this machine, any free one by default; yield its URL."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # so that asyncio sends small writes at once
        listener.bind(("127.0.0.1", port))
        listener.listen()  # who calls before the server is up waits, and is not refused
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class MemoryHouse:
    """A ChatHouse over a few documents. `write` is the model: conversation in, pieces out."""

    def __init__(self, folder: Path, groups: Mapping[str, frozenset[str]], write: Writer) -> None:
        self.issuer = LocalIssuer(folder)
        self._verifier = TokenVerifier(self.issuer.jwks, LOCAL_ISSUER, AUDIENCE)
        self._groups = groups
        self.write = write
        self._shelf: list[tuple[Audience, Passage]] = []
        self.parts = {"postgres": "ok", "vllm": "ok"}
        self.fails_with: Exception | None = None  # the model raises this after its last piece
        self.pause = 0.0  # seconds between pieces
        self.states: dict[str, tuple[DocumentState, str]] = {}  # of documents that are not ready, and why
        self.harmless = True  # what the model writes is disarmed, as in the house
        self.form = PROSE  # what was asked for last
        self.tools = NO_TOOLS  # that were on offer last
        self.cut = False  # the model has more to say
        self.listening = 0  # answers being written now
        self.desk = MemoryDesk(self)
        self.kept = MemoryConversations(self)
        self.entry = MemoryEntry(self)
        self.views = MemoryViews(self)
        self.office = MemoryOffice(self)

    def shelve(
        self, title: str, readers: frozenset[str], *sections: tuple[Place, str], uri: str = ""
    ) -> None:
        """Put a document on the shelf, one passage per section."""
        number = 1 + max((passage.document_id for _, passage in self._shelf), default=0)
        start = 0
        for place, text in sections:
            passage = Passage(
                chunk_id=len(self._shelf) + 1,
                document_id=number,
                uri=uri or f"{title}.md",
                title=title,
                version=2,
                place=place,
                span=Span(start, start + len(text)),
                original=text,
                normalised=normal_form(text).text,
                score=0.0,
            )
            self._shelf.append((Audience(readers), passage))
            start += len(text) + 2

    def narrow(self, title: str, readers: frozenset[str]) -> None:
        """Let only these groups read a document from now on."""
        self._shelf = [(Audience(readers) if p.title == title else a, p) for a, p in self._shelf]

    def token(self, subject: str) -> str:
        return self.issuer.issue(subject, 1, AUDIENCE)

    def open(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def caller(self, token: str) -> Caller:
        subject = self._verifier.subject(token)
        groups = self._groups.get(subject, frozenset())
        return Caller(Principal(subject, groups), rights_of(RoleGroups().roles_of(groups)))

    def find(self, question: str, who: Principal, limit: int) -> list[Passage]:
        """Rank by shared pairs of letters, dropping what shares none."""
        asked = _pairs(question)
        readable = [passage for audience, passage in self._shelf if who.may_read(audience)]
        ranked = sorted(readable, key=lambda passage: -len(asked & _pairs(passage.title + passage.original)))
        return [p for p in ranked[:limit] if asked & _pairs(p.title + p.original)]

    def search(
        self, question: str, who: Principal, limit: int, lanes: Sequence[str], scope: Scope = EVERYTHING
    ) -> Found:
        held = [p for p in self.find(question, who, 50) if scope.holds(p.document_id, "memory", p.uri, None)]
        passages = enumerate(held[:limit], start=1)
        why = [replace(p, why=tuple(LaneRank(lane, rank, 1.0) for lane in lanes)) for rank, p in passages]
        return Found(tuple(why), self.release_id())

    def embed(self, texts: Sequence[str], *, as_queries: bool) -> Embedded:
        """Count pairs of letters in 64 buckets; a query points the other way, so that tests can tell."""
        sign = -1.0 if as_queries else 1.0
        counts = [[0.0] * 64 for _ in texts]
        for count, text in zip(counts, texts, strict=True):
            for pair in _pairs(text):
                count[crc32(pair.encode()) % 64] += sign
        return Embedded(tuple(map(tuple, counts)), sum(map(len, texts)), self.release_id())

    def answer(
        self,
        question: str,
        history: Sequence[Turn],
        who: Principal,
        form: Form = PROSE,
        scope: Scope = EVERYTHING,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | Answer]:
        written = converse(
            question,
            self.search(question, who, 4, ("dense", "lexical"), scope).passages,
            generator=self,
            model="base",
            release_id=self.release_id(),
            history=history,
            form=form,
            tools=tools,
        )
        return harmlessly(written, form) if self.harmless else written

    async def stream(
        self,
        turns: Sequence[Turn],
        *,
        model: str,
        max_tokens: int,
        salt: str = "",
        session: str = "",
        form: Form = PROSE,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | ToolCall | Usage]:
        self.listening += 1
        try:
            self.form, self.tools, pieces = form, tools, self.write(turns)
            for piece in pieces:
                await asyncio.sleep(self.pause)
                yield piece
            read = sum(len(turn.text) for turn in turns)
            wrote = sum(len(piece) for piece in pieces if isinstance(piece, str))
            yield Usage(read, wrote, cut=self.cut)
            if self.fails_with is not None:
                raise self.fails_with
        finally:
            self.listening -= 1

    def documents(self, who: Principal) -> list[Document]:
        return [document for document in self.all_documents() if who.may_read(document.audience)]

    def all_documents(self) -> list[Document]:
        seen, now = {p.document_id: (a, p) for a, p in self._shelf}, datetime.now(UTC)
        found = []
        for number, (a, p) in seen.items():
            state, why = self.states.get(p.title, (DocumentState.READY, ""))
            found.append(
                Document(number, "memory", p.uri, p.title, p.version, "", a, state, now, why, modified=now)
            )
        return found

    def document(self, document_id: int, who: Principal) -> list[Passage]:
        return [p for audience, p in self._shelf if p.document_id == document_id and who.may_read(audience)]

    def readers(self, document_id: int) -> Audience:
        return next(audience for audience, p in self._shelf if p.document_id == document_id)

    def release_id(self, who: Principal | None = None) -> str:
        return "5f0c2e9ab714"

    def token_issuer(self) -> str | None:
        return None

    def ready(self) -> dict[str, str]:
        return self.parts


class MemoryEntry:
    """Where people of `passwords` log in; a session is an ordinary token."""

    over_tls = False
    takes_journeys = False
    session_seconds = 3600

    def __init__(self, house: MemoryHouse) -> None:
        self._house = house
        self.passwords: dict[str, str] = {}

    @property
    def takes_passwords(self) -> bool:
        return bool(self.passwords)

    def log_in(self, name: str, password: str) -> str:
        if self.passwords.get(name) != password:
            raise IdentityError("name and password do not belong together")
        return self._house.token(name)

    def begin_journey(self) -> tuple[str, Journey]:
        raise IdentityError("nobody logs in at a provider here")

    def end_journey(self, journey: Journey, brought: Mapping[str, str]) -> str:
        raise IdentityError("nobody logs in at a provider here")

    def log_out(self, token: str) -> None:
        self._house.caller(token)


class MemoryDesk:
    """A Desk whose feedback is forgotten with its house. Curators are the group of that name."""

    def __init__(self, house: MemoryHouse) -> None:
        self._house = house
        self._box = MemoryFeedback(house.readers)

    def give(self, given: Feedback, who: Principal) -> int:
        about = given.evidence.document_id if given.evidence else 0
        return self._box.keep(prove(given, self._house.document(about, who)))

    def waiting(self, curator: Principal) -> list[Feedback]:
        _require_curator(curator)
        return [one for one in self._box.visible(curator) if not one.approved and not one.refused]

    def decide(self, feedback_id: int, curator: Principal, *, approves: bool, reason: str = "") -> Feedback:
        _require_curator(curator)
        return self._box.decide(feedback_id, curator, approves, reason)


class MemoryConversations:
    """Conversations that are forgotten with their house."""

    def __init__(self, house: MemoryHouse) -> None:
        self._house = house
        self._had: dict[str, tuple[str, datetime, list[Exchange]]] = {}  # id: (subject, begun, said)

    def begin(self, who: Principal) -> str:
        id = str(uuid4())
        self._had[id] = (who.subject, datetime.now(UTC), [])
        return id

    def has(self, id: str, who: Principal) -> bool:
        return self._of(id, who) is not None

    def add(self, id: str, who: Principal, question: str, answer: Answer) -> None:
        if (said := self._of(id, who)) is not None:
            said.append(Exchange(question, datetime.now(UTC), answer))

    def all(self, who: Principal) -> list[Conversation]:
        own = [(id, *rest) for id, (subject, *rest) in self._had.items() if subject == who.subject]
        found = [Conversation(id, said[0].question, begun, said[-1].at) for id, begun, said in own if said]
        return sorted(found, key=lambda one: one.last, reverse=True)

    def read(self, id: str, who: Principal) -> list[Exchange]:
        return [self._as_readable(one, who) for one in self._of(id, who) or []]

    def delete(self, id: str, who: Principal) -> bool:
        return self._of(id, who) is not None and self._had.pop(id) is not None

    def _of(self, id: str, who: Principal) -> list[Exchange] | None:
        subject, _, said = self._had.get(id, ("", None, None))
        return said if subject == who.subject else None

    def _as_readable(self, one: Exchange, who: Principal) -> Exchange:
        made_from = one.answer.passages if one.answer else ()
        readable = all(who.may_read(self._house.readers(passage.document_id)) for passage in made_from)
        return one if readable else replace(one, answer=None)


def _require_curator(who: Principal) -> None:
    if "curators" not in who.groups:
        raise NotPermitted(who.subject)


def _pairs(text: str) -> set[str]:
    letters = "".join(normal_form(text).text.lower().split())
    return {letters[at : at + 2] for at in range(len(letters) - 1)}
