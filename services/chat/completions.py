"""POST /v1/chat/completions and GET /v1/models, as OpenAI's clients expect them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from kiban.answer.steady import listed
from kiban.domain.access import Principal
from kiban.domain.question import Answer, Passage
from kiban.errors import PartError
from services.chat.completion_shapes import CompletionRequest
from services.chat.errors import STREAMED, NotFound, part_json
from services.chat.guard import Asker, House, Kept
from services.chat.house import ChatHouse
from services.chat.search_shapes import USUAL_LANES
from services.chat.shapes import (
    CHAT,
    EMBEDDER,
    MODELS,
    Json,
    Reply,
    event,
)

router = APIRouter()
SEARCHED = 8  # passages that the model "kiban-search-only" returns
DONE = "data: [DONE]\n\n"


@router.get("/v1/models")
async def models(who: Asker) -> Json:
    return {"object": "list", "data": [_model(name) for name in (*MODELS, EMBEDDER)]}


@router.get("/v1/models/{name}")
async def model(name: str, who: Asker) -> Json:
    require_model(name, (*MODELS, EMBEDDER))
    return _model(name)


@router.post("/v1/chat/completions", responses=STREAMED)
async def complete(
    body: CompletionRequest, who: Asker, house: House, kept: Kept, request: Request
) -> Response:
    """Answer the last message from what `who` may read. Which weights answer is the release's decision."""
    require_model(body.model)
    if body.conversation and not await asyncio.to_thread(kept.has, str(body.conversation), who):
        raise NotFound("conversation")
    asked = time.perf_counter()
    answering = await begin(body, who, house)
    if body.conversation:
        answering = _kept(answering, partial(kept.add, str(body.conversation), who, body.question))
    watched = request.app.state.metrics.watch(answering, asked)
    if body.stream:
        first = await anext(watched)  # a part that fails now still gets a status code of its own
        reply = Reply(body.model, body.n or 1)
        events = _events(reply, first, watched, body.stream_options.include_usage)
        return StreamingResponse(events, media_type="text/event-stream")
    return JSONResponse(Reply(body.model, body.n or 1).whole(await whole(watched)))


async def begin(body: CompletionRequest, who: Principal, house: ChatHouse) -> AsyncIterator[str | Answer]:
    """Return the answer to a question, yet to be written. Raises TooMany, Busy."""
    if body.model == CHAT:
        return await asyncio.to_thread(
            house.answer, body.question, body.history, who, body.form, body.about, body.program
        )
    found = await asyncio.to_thread(house.search, body.question, who, SEARCHED, USUAL_LANES, body.about)
    return _listed(body.question, list(found.passages), found.release_id)


async def _kept(
    answering: AsyncIterator[str | Answer], keep: Callable[[Answer], None]
) -> AsyncIterator[str | Answer]:
    """Keep an answer before its end is told."""
    async with aclosing(answering):  # type: ignore[type-var]
        async for piece in answering:
            if isinstance(piece, Answer) and not piece.calls:  # with calls, the answer is yet to come
                await asyncio.to_thread(keep, piece)
            yield piece


async def _listed(question: str, found: list[Passage], release_id: str) -> AsyncIterator[str | Answer]:
    """Answer with the list of what was found; no model is asked."""
    text = listed(question, found)
    yield text
    yield Answer(text, (), tuple(found), abstained=not found, release_id=release_id)


async def whole(answering: AsyncIterator[str | Answer]) -> Answer:
    """Return an answer at its end."""
    async for piece in answering:
        if isinstance(piece, Answer):
            return piece
    raise PartError("the answer has no end")


async def _events(
    reply: Reply, first: str | Answer, answering: AsyncIterator[str | Answer], counted: bool
) -> AsyncIterator[str]:
    try:
        async with aclosing(answering):  # type: ignore[type-var]
            for said in _event(reply, first, counted):
                yield said
            async for piece in answering:
                for said in _event(reply, piece, counted):
                    yield said
    except PartError as error:
        yield event(part_json(error))  # the status code has been sent; clients raise on this event
        return
    yield DONE


def _event(reply: Reply, piece: str | Answer, counted: bool) -> list[str]:
    if isinstance(piece, str):
        return [reply.chunk(piece)]
    return [reply.last_chunk(piece), *([reply.usage_chunk(piece)] if counted else [])]


def require_model(name: str, known: Sequence[str] = MODELS) -> None:
    """Raise NotFound for a name that is not a product of ours, such as that of an adapter."""
    if name not in known:
        raise NotFound(f"The model {name!r} does not exist; there is {', '.join(known)}.")


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": "kiban"}
