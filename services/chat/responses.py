"""POST /v1/responses: the same answers for clients of OpenAI's Responses API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from kiban.domain.question import Answer
from kiban.errors import PartError
from services.chat.completions import begin, require_model, whole
from services.chat.errors import STREAMED
from services.chat.guard import Asker, House
from services.chat.response_shapes import ResponseReply, ResponseRequest

router = APIRouter()


@router.post("/v1/responses", responses=STREAMED)
async def respond(body: ResponseRequest, who: Asker, house: House, request: Request) -> Response:
    """Answer the last message of `input` from what `who` may read. No response is kept."""
    require_model(body.model)
    asked = time.perf_counter()
    watched = request.app.state.metrics.watch(await begin(body.asked, who, house), asked)
    reply = ResponseReply(body)
    if body.stream:
        first = await anext(watched)  # a part that fails now still gets a status code of its own
        return StreamingResponse(_events(reply, first, watched), media_type="text/event-stream")
    return JSONResponse(reply.whole(await whole(watched)))


async def _events(
    reply: ResponseReply, first: str | Answer, answering: AsyncIterator[str | Answer]
) -> AsyncIterator[str]:
    for said in reply.begun():
        yield said
    try:
        async with aclosing(answering):  # type: ignore[type-var]
            for said in _told(reply, first):
                yield said
            async for piece in answering:
                for said in _told(reply, piece):
                    yield said
    except PartError as error:
        yield reply.failed(str(error))


def _told(reply: ResponseReply, piece: str | Answer) -> list[str]:
    return list(reply.text(piece) if isinstance(piece, str) else reply.ended(piece))
