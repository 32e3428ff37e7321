"""Question → Passage → Answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from kiban.answer.converse import converse
from kiban.answer.harmless import harmlessly
from kiban.answer.steady import steadily
from kiban.answer.withhold import refuse
from kiban.domain.access import NOBODY, Principal
from kiban.domain.course import step
from kiban.domain.document import Document
from kiban.domain.learning import Weights
from kiban.domain.question import (
    EVERYTHING,
    NO_TOOLS,
    PROSE,
    Answer,
    Embedded,
    Form,
    Found,
    Passage,
    Scope,
    Tools,
    Turn,
)
from kiban.domain.release import Release
from kiban.domain.roles import Caller
from kiban.errors import KibanError, PartRefused, PartUnavailable
from kiban.release import routing
from kiban.retrieve.repeats import without_repeats
from kiban.retrieve.search import LANES, PICTURES, find
from kiban.stack.parts import parts
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.current import SEARCHES, as_now
from kiban.wiring.furniture import Furniture
from kiban.wiring.identity import Identity
from kiban.wiring.policy import Admitted, Policing
from kiban.wiring.records import Asked, Records
from kiban.wiring.releases import Releases
from kiban.wiring.watching import Watching, in_thread

SHOWN = 4  # passages in a prompt
LOOKED_AT = 8  # for each passage returned, so that copies of one can be left out

log = logging.getLogger(__name__)
Write = Callable[[Release, str], AsyncGenerator[str | Answer]]


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a model is asked with; only the release, where policy lets none be asked."""

    release: Release
    asked: Admitted
    passages: tuple[Passage, ...] = ()
    choices: tuple[tuple[Release, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a release would have answered, and whose turn it was: other weights may have had to stand in."""

    answer: Answer | None  # None: nothing could be answered
    meant: str  # the id of what was to write


class Answers:
    """What the chat service asks for."""

    def __init__(self, furniture: Furniture, releases: Releases, records: Records) -> None:
        self._furniture = furniture
        self._releases = releases
        self._records = records
        self._identity = Identity(furniture)
        self._policing = Policing(furniture)
        self._watching = Watching(furniture)

    def open(self) -> AbstractAsyncContextManager[object]:
        """Keep the connections to the model servers open while a service runs. Raises SettingsError."""
        self._policing.require_sound()
        return self._connected()

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as open_while_running:
            for base in self._furniture.bases:
                await open_while_running.enter_async_context(base.generator)
            yield

    def caller(self, token: str) -> Caller:
        """Return who calls, and what they may do. Raises IdentityError."""
        return self._identity.caller(token)

    def known(self, subject: str) -> Principal:
        """Return a person as the directory knows them, for whoever sits at this machine."""
        return self._identity.known(subject)

    def seated(self, subject: str) -> Caller:
        """The same, with all that this person may do."""
        return self._identity.seated(subject)

    def token(self, subject: str, hours: float = 12) -> str:
        """Issue a token of this house's own, for the embedded default."""
        return self._furniture.issuer.issue(subject, hours, self._furniture.settings.token_audience)

    def find(self, question: str, who: Principal, limit: int = SHOWN) -> list[Passage]:
        asked = self._policing.searched(question, who)
        return self._policing.shown(self.find_with(self._releases.answering(who), asked, who, limit), who)

    def search(
        self,
        question: str,
        who: Principal,
        limit: int = SHOWN,
        lanes: Sequence[str] = LANES,
        scope: Scope = EVERYTHING,
    ) -> Found:
        release, asked = self._releases.answering(who).narrowed(), self._policing.searched(question, who)
        found = self.find_with(release, asked, who, limit, lanes, scope=scope)
        return Found(tuple(self._policing.shown(found, who)), release.id)

    def find_with(
        self,
        release: Release,
        question: str,
        who: Principal,
        limit: int,
        lanes: Sequence[str] = LANES,
        *,
        scope: Scope = EVERYTHING,
        history: Sequence[Turn] = (),
    ) -> list[Passage]:
        """Search with the embedder, the index generation and the reranker of a release; what repeats a better
        passage is left out. `history` is this asker's own."""
        pictures = self._furniture.picture_embedder if PICTURES in lanes else None
        if PICTURES in lanes and pictures is None:
            raise PartRefused("No pictures are kept here.", mend="KIBAN_PICTURE_EMBEDDER, then ingest again")
        embedder = Weights(Path(release.embedder), release.embedder_sha256)
        found = find(
            question,
            who,
            index=self._furniture.index_of(release.generation),
            tokenizer=self._furniture.tokenizer_of(release.generation),
            embedder=self._furniture.embedder(embedder),
            generation=release.generation,
            limit=limit * LOOKED_AT,
            exact_limit=self._furniture.settings.exact_lane_limit,
            lanes=lanes,
            scope=scope,
            history=history,
            known=self._furniture.synonyms,
            reranking=self._furniture.reranking(_reranker(release)),
            picture_embedder=pictures,
            today=datetime.now().astimezone().date(),
        )
        return without_repeats(found, limit)

    def embed(self, texts: Sequence[str], *, as_queries: bool) -> Embedded:
        """Return vectors of the space that the release in force searches in."""
        release = self._releases.in_force()
        embedder = self._furniture.embedder(Weights(Path(release.embedder), release.embedder_sha256))
        found = [embedder.query(text) for text in texts] if as_queries else embedder.passages(texts)
        vectors = tuple(tuple(map(float, vector)) for vector in found)
        return Embedded(vectors, embedder.tokens(texts), release.narrowed().id)

    async def answer(
        self,
        question: str,
        history: Sequence[Turn],
        who: Principal,
        form: Form = PROSE,
        scope: Scope = EVERYTHING,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | Answer]:
        """Yield text, and last the whole Answer, of which a line is kept."""
        course = self._watching.begin()
        asked = await self._policing.admit(question, history, tools.done, who)
        ready = await in_thread(course, partial(self._ready, asked, who, scope))
        shown = list(ready.passages)  # to a model
        about = Asked(who, question, shown, ready.release.narrowed().id)
        tools = replace(tools, done=asked.done)
        writing = self._write_current(ready, shown, who, form=form, scope=scope, tools=tools)
        written = self._passed(writing, ready, question, who, form)
        recorded = self._records.follow(written, about)
        async with aclosing(self._watching.follow(recorded, about, course)) as told:
            async for piece in told:
                yield piece

    async def rehearse(
        self, release: Release, question: str, history: Sequence[Turn], who: Principal
    ) -> Rehearsed:
        """Return what a release would answer. Nobody is shown it; no line, trace or conversation is kept."""
        asked = await self._policing.admit(question, history, (), who)
        ready = await asyncio.to_thread(self._ready, asked, who, EVERYTHING, release)
        meant = next((answering.id for answering, _ in ready.choices), release.narrowed().id)
        last: str | Answer = ""
        try:
            writing = self._write(ready, who, PROSE, NO_TOOLS)
            async with aclosing(self._passed(writing, ready, question, who, PROSE)) as pieces:
                async for piece in pieces:
                    last = piece
        except KibanError as error:
            log.warning("a rehearsal failed: %s", error)
        return Rehearsed(last if isinstance(last, Answer) else None, meant)

    def _passed(
        self,
        writing: AsyncGenerator[str | Answer],
        ready: _Ready,
        question: str,
        who: Principal,
        form: Form,
    ) -> AsyncGenerator[str | Answer]:
        """Return what is written, as far as policy lets it pass."""
        release_id = ready.release.narrowed().id
        if ready.asked.refused:
            return refuse(ready.asked.refused, question, release_id, form)
        return harmlessly(self._policing.answered(writing, who, question, release_id, form), form)

    def _ready(self, asked: Admitted, who: Principal, scope: Scope, release: Release | None = None) -> _Ready:
        """Do what has to be done before a model is asked, all of it in one thread: under load, each change of
        threads takes longer than most of what is done in them. The ledger is asked once."""
        release = release or self._releases.answering(who)
        if asked.refused:
            return _Ready(release, asked)
        passages = self._found(release, asked.question, who, scope=scope, history=asked.history)
        return _Ready(release, asked, tuple(passages), self.choices(release, who, passages))

    def _found(
        self, release: Release, question: str, who: Principal, *, scope: Scope, history: Sequence[Turn]
    ) -> list[Passage]:
        """Return what the model is shown."""
        with step("search"):
            found = self.find_with(release, question, who, SHOWN, scope=scope, history=history)
            return self._policing.shown(found, who)

    async def _write_current(
        self,
        ready: _Ready,
        shown: list[Passage],
        who: Principal,
        *,
        form: Form,
        scope: Scope,
        tools: Tools,
    ) -> AsyncGenerator[str | Answer]:
        """Write from what was found. If some of it is no longer for `who` when the first word comes, search
        and write again; at last from nothing. What else a model is shown is added to `shown`."""
        for left in reversed(range(SEARCHES + 1)):
            async with aclosing(self._write(ready, who, form, tools)) as pieces:
                first = await anext(pieces)
                look = partial(as_now, self._furniture, ready.release.generation, who, ready.passages)
                who, current = await asyncio.to_thread(look)
                if current:
                    yield first
                    async for piece in pieces:
                        yield piece
                    return
            again = partial(self._ready, ready.asked, who, scope)
            ready = await asyncio.to_thread(again) if left > 1 else replace(ready, passages=())
            shown += (passage for passage in ready.passages if passage not in shown)

    async def _write(
        self, ready: _Ready, who: Principal, form: Form, tools: Tools
    ) -> AsyncGenerator[str | Answer]:
        question = ready.asked.question
        write = partial(
            self.converse_with,
            question=question,
            passages=ready.passages,
            history=ready.asked.history,
            who=who,
            form=form,
            tools=tools,
        )
        attempts = [
            *(partial(write, answering, adapter) for answering, adapter in ready.choices),
            partial(self._plainly, write, ready),
        ]
        writing = steadily(attempts, question, ready.passages, release_id=ready.release.id, form=form)
        async with aclosing(writing) as pieces:
            async for piece in pieces:
                yield piece

    async def _plainly(self, write: Write, ready: _Ready) -> AsyncGenerator[str | Answer]:
        """Let the base model write. Without its adapters a release is the base: a restarted server has
        forgotten them, and `tend` brings them back within minutes."""
        plain = ready.release.narrowed()
        if ready.choices:
            plain = await asyncio.to_thread(lambda: self._releases.base)
        async with aclosing(write(plain, BASE_MODEL)) as pieces:
            async for piece in pieces:
                yield piece

    def choices(
        self, release: Release, who: Principal, passages: Sequence[Passage]
    ) -> tuple[tuple[Release, str], ...]:
        """Return which weights to try in turn for an answer from these passages."""
        best = NOBODY
        if release.zones and passages:
            best = self._furniture.index_of(release.generation).audience(who, passages[0].document_id)
        choices = routing.choices(release, who, best)
        for answering in (release.narrowed(), *(answering for answering, _ in choices)):
            self._furniture.ledger.keep_release(answering)  # the line about the answer names it
        return choices

    def converse_with(
        self,
        release: Release,
        model: str,
        question: str,
        passages: Sequence[Passage],
        *,
        who: Principal,
        history: Sequence[Turn] = (),
        closed_book: bool = False,
        form: Form = PROSE,
        tools: Tools = NO_TOOLS,
    ) -> AsyncGenerator[str | Answer]:
        """Let one of the adapters of a release write, or the base model."""
        return converse(
            question,
            passages,
            generator=self._furniture.base_of(release).generator,
            model=model,
            release_id=release.id,
            history=history,
            closed_book=closed_book,
            salt=salt_of(who, model),
            session=who.subject,
            form=form,
            tools=tools,
            chooser=BASE_MODEL,  # it has learnt from no document
        )

    def documents(self, who: Principal) -> list[Document]:
        return self._furniture.index.documents(who)

    def document(self, document_id: int, who: Principal) -> list[Passage]:
        return self._policing.shown(self._furniture.index.read(who, document_id), who)

    def token_issuer(self) -> str | None:
        return self._furniture.settings.token_issuer

    def release_id(self, who: Principal) -> str:
        return self._releases.answering(who).narrowed().id

    def ready(self) -> dict[str, str]:
        """Return "ok" or what is wrong, by part that an answer needs."""
        needed = ("postgres", *self._model_servers())
        return {
            part.name: "ok" if (health := part.probe()).ok else health.detail
            for part in parts(self._furniture.settings)
            if part.name.startswith(needed)
        }

    def _model_servers(self) -> list[str]:
        """Return what the servers' parts are called: those of the base in force, while that can be told."""
        try:
            return [self._furniture.base.part]
        except PartUnavailable:
            return [base.part for base in self._furniture.bases]


def salt_of(who: Principal, model: str) -> str:
    """Return the Generator's salt: what was computed for people of other groups, or with other weights, is
    not used again."""
    return sha256("\0".join([*sorted(who.groups), model]).encode()).hexdigest()[:16]


def _reranker(release: Release) -> Weights | None:
    if release.reranker is None or release.reranker_sha256 is None:
        return None
    return Weights(Path(release.reranker), release.reranker_sha256)
