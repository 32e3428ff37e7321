"""Search without an answer, and the place in a document that a citation points at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from kiban.domain.access import Principal
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.errors import DocumentError
from services.chat.errors import REFUSALS, NotFound
from services.chat.guard import Asker, AtHand, House
from services.chat.house import ChatHouse
from services.chat.scope_shapes import Id, choices_json
from services.chat.search_shapes import FoundShape, SearchRequest, found_shape
from services.chat.shapes import Json, document_json, passage_json, standing_json

router = APIRouter(prefix="/v1")
CONTEXT = 1  # passages before and after the place
LONGEST_VIEW = 20  # passages

Position = Annotated[int, Query(ge=0, le=2**31)]
Ids = Annotated[Sequence[Id], Query(max_length=50)]


@router.get("/search")
async def search_by_address(asked: Annotated[SearchRequest, Query()], who: Asker, house: House) -> FoundShape:
    """Find passages among what you may read, best first. No model is asked.

    Nothing in the reply, its order and its scores included, depends on what you may not read.
    """
    return await _search(asked, who, house)


@router.post("/search")
async def search(asked: SearchRequest, who: Asker, house: House) -> FoundShape:
    """The same with a body: what is asked then stands in no address, and in no proxy's log."""
    return await _search(asked, who, house)


@router.get("/choices")
async def choices(who: Asker, views: AtHand) -> Json:
    """Return the sources, folders and formats that you can narrow a question to, the largest first."""
    return choices_json(await asyncio.to_thread(views.choices, who))


@router.get("/documents")
async def documents(who: Asker, house: House, views: AtHand, id: Ids = ()) -> Json:
    """Return the documents that you may read, with their states. Of those asked for by `id`, how they stand
    is told as well."""
    if id:
        standing = await asyncio.to_thread(views.standing, id, who)
        return {"object": "list", "data": [standing_json(one) for one in standing]}
    found = await asyncio.to_thread(house.documents, who)
    return {"object": "list", "data": [document_json(document) for document in found]}


@router.get(
    "/documents/{document_id}/pages/{number}",
    responses={**REFUSALS, 200: {"content": {"image/png": {}}}},
    response_class=Response,
)
async def page(
    document_id: Annotated[int, Path(ge=1, le=2**62)],
    number: Annotated[int, Path(ge=1, le=100_000)],
    who: Asker,
    views: AtHand,
    version: Annotated[int, Query(ge=1, le=2**31)],
    start: Position = 0,
    end: Position = 0,
) -> Response:
    """Return a page of a PDF as a picture, characters [start, end) of the document's text marked on it."""
    quoted = Span(start, max(end, start))
    try:
        drawn = await asyncio.to_thread(views.page, document_id, version, number, quoted, who)
    except DocumentError as error:
        raise NotFound(f"page: {error}") from error
    return Response(drawn, media_type="image/png")


@router.get("/documents/{document_id}")
async def document(
    document_id: int, who: Asker, house: House, start: Position = 0, end: Position = 0
) -> Json:
    """Return the passages around characters [start, end). A document that is not for you does not exist."""
    passages = await asyncio.to_thread(house.document, document_id, who)
    if not passages:
        raise NotFound("document")
    seen = _around(passages, start, max(end, start + 1))
    first = passages[0]
    return {
        "document_id": first.document_id,
        "uri": first.uri,
        "title": first.title,
        "version": first.version,
        "passages": [passage_json(passage) for passage in seen],
    }


async def _search(asked: SearchRequest, who: Principal, house: ChatHouse) -> FoundShape:
    found = await asyncio.to_thread(house.search, asked.text, who, asked.limit, asked.lanes, asked.scope)
    return found_shape(asked.text, found)


def _around(passages: list[Passage], start: int, end: int) -> list[Passage]:
    touched = [at for at, p in enumerate(passages) if p.span.start < end and start < p.span.end]
    if not touched:
        return passages[: 1 + CONTEXT]
    first = max(touched[0] - CONTEXT, 0)
    return passages[first : touched[-1] + 1 + CONTEXT][:LONGEST_VIEW]
