"""Question → Passage → Answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path

from kiban.answer.converse import converse
from kiban.domain.access import Principal
from kiban.domain.document import Document
from kiban.domain.learning import Weights
from kiban.domain.question import EVERYTHING, PROSE, Answer, Embedded, Form, Found, Passage, Scope, Turn
from kiban.domain.release import Release
from kiban.errors import PartRefused, UnknownModel
from kiban.retrieve.repeats import without_repeats
from kiban.retrieve.search import LANES, PICTURES, find
from kiban.stack.parts import parts
from kiban.wiring.furniture import BASE_MODEL, Furniture
from kiban.wiring.records import Asked, Records
from kiban.wiring.releases import Releases

log = logging.getLogger(__name__)

SHOWN = 4  # passages in a prompt
LOOKED_AT = 8  # for each passage returned, so that copies of one can be left out


class Answers:
    """What the chat service asks for."""

    def __init__(self, furniture: Furniture, releases: Releases, records: Records) -> None:
        self._furniture = furniture
        self._releases = releases
        self._records = records

    def principal(self, token: str) -> Principal:
        """Return who asks. Raises IdentityError."""
        subject = self._furniture.verifier.subject(token)
        return self.known(subject)

    def known(self, subject: str) -> Principal:
        """Return a person as the directory knows them, for whoever sits at this machine."""
        return Principal(subject, self._furniture.directory.groups_of(subject))

    def token(self, subject: str, hours: float = 12) -> str:
        """Issue a token of this house's own, for the embedded default."""
        return self._furniture.issuer.issue(subject, hours, self._furniture.settings.token_audience)

    def find(self, question: str, who: Principal, limit: int = SHOWN) -> list[Passage]:
        return self.find_with(self._releases.in_force(), question, who, limit)

    def search(
        self,
        question: str,
        who: Principal,
        limit: int = SHOWN,
        lanes: Sequence[str] = LANES,
        scope: Scope = EVERYTHING,
    ) -> Found:
        release = self._releases.in_force()
        return Found(tuple(self.find_with(release, question, who, limit, lanes, scope=scope)), release.id)

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
        )
        return without_repeats(found, limit)

    def embed(self, texts: Sequence[str], *, as_queries: bool) -> Embedded:
        """Return vectors of the space that the release in force searches in."""
        release = self._releases.in_force()
        embedder = self._furniture.embedder(Weights(Path(release.embedder), release.embedder_sha256))
        found = [embedder.query(text) for text in texts] if as_queries else embedder.passages(texts)
        vectors = tuple(tuple(map(float, vector)) for vector in found)
        return Embedded(vectors, embedder.tokens(texts), release.id)

    async def answer(
        self, question: str, history: Sequence[Turn], who: Principal, form: Form = PROSE
    ) -> AsyncIterator[str | Answer]:
        """Yield text, and last the whole Answer, of which a line is kept."""
        release = await asyncio.to_thread(self._releases.in_force)
        passages = await asyncio.to_thread(self.find_with, release, question, who, SHOWN, history=history)
        written = self._write(release, question, passages, history, who, form)
        async with aclosing(
            self._records.follow(written, Asked(who, question, passages, release.id))
        ) as told:
            async for piece in told:
                yield piece

    async def _write(
        self,
        release: Release,
        question: str,
        passages: Sequence[Passage],
        history: Sequence[Turn],
        who: Principal,
        form: Form,
    ) -> AsyncGenerator[str | Answer]:
        salt = sha256("\0".join(sorted(who.groups)).encode()).hexdigest()[:16]
        try:
            # Whoever stops listening stops the model, here and now.
            async with aclosing(
                self.converse_with(release, question, passages, history=history, salt=salt, form=form)
            ) as pieces:
                async for piece in pieces:
                    yield piece
        except UnknownModel as error:
            # A restarted server has forgotten the adapter; `tend` brings it back within minutes.
            log.warning("answering with the base model: %s", error)
            async for piece in self.converse_with(
                self._releases.base, question, passages, history=history, salt=salt, form=form
            ):
                yield piece

    def converse_with(
        self,
        release: Release,
        question: str,
        passages: Sequence[Passage],
        *,
        history: Sequence[Turn] = (),
        closed_book: bool = False,
        salt: str = "",
        form: Form = PROSE,
    ) -> AsyncGenerator[str | Answer]:
        """Let the weights of a release write."""
        return converse(
            question,
            passages,
            generator=self._furniture.generator,
            model=release.adapter or BASE_MODEL,
            release_id=release.id,
            history=history,
            closed_book=closed_book,
            salt=salt,
            form=form,
        )

    def documents(self, who: Principal) -> list[Document]:
        return self._furniture.index.documents(who)

    def document(self, document_id: int, who: Principal) -> list[Passage]:
        return self._furniture.index.read(who, document_id)

    def token_issuer(self) -> str | None:
        return self._furniture.settings.token_issuer

    def release_id(self) -> str:
        return self._releases.in_force().id

    def ready(self) -> dict[str, str]:
        """Return "ok" or what is wrong, by part that an answer needs."""
        return {
            part.name: "ok" if (health := part.probe()).ok else health.detail
            for part in parts(self._furniture.settings)
            if part.name.startswith(("postgres", "vllm"))
        }


def _reranker(release: Release) -> Weights | None:
    if release.reranker is None or release.reranker_sha256 is None:
        return None
    return Weights(Path(release.reranker), release.reranker_sha256)
