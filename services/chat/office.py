"""For those who run the house: documents by state, releases, verdicts, lineage of answers and documents."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query

from kiban.domain.document import DocumentState
from services.chat.errors import NotFound
from services.chat.guard import Asker, InOffice
from services.chat.office_shapes import (
    answer_lineage_json,
    document_lineage_json,
    judged_json,
    overview_json,
    record_json,
    release_line_json,
)
from services.chat.shapes import Json, document_json

router = APIRouter(prefix="/v1/operate")

Number = Annotated[int, Path(ge=1, le=2**62)]


@router.get("")
async def overview(office: InOffice) -> Json:
    """Return the house at a glance: documents by state, sources, and the addresses of Prefect and MLflow."""
    return overview_json(await asyncio.to_thread(office.overview))


@router.get("/documents")
async def documents(who: Asker, office: InOffice, state: DocumentState | None = None) -> Json:
    """Return documents by state, the latest to change first: of those that you may not read, the number."""
    found = await asyncio.to_thread(office.documents, state, who)
    return {"object": "list", "data": [document_json(one) for one in found.seen], "others": found.others}


@router.get("/documents/{document_id}")
async def document(document_id: Number, who: Asker, office: InOffice) -> Json:
    """Return which weights saw a document, and which releases they were part of."""
    found = await asyncio.to_thread(office.lineage, document_id, who)
    if found is None:
        raise NotFound("document")
    return document_lineage_json(found)


@router.get("/releases")
async def releases(office: InOffice) -> Json:
    """Return the ledger, the newest entry first."""
    return {"object": "list", "data": list(map(release_line_json, await asyncio.to_thread(office.releases)))}


@router.get("/candidates")
async def candidates(office: InOffice) -> Json:
    """Return every candidate with its verdict: four arms, paired tests, audits."""
    return {"object": "list", "data": list(map(judged_json, await asyncio.to_thread(office.judged)))}


@router.get("/answers")
async def answers(office: InOffice, before: Annotated[int | None, Query(ge=1, le=2**62)] = None) -> Json:
    """Return the newest lines of the record of answers, or those before one: who asked and what, as keyed
    hashes."""
    return {"object": "list", "data": list(map(record_json, await asyncio.to_thread(office.answers, before)))}


@router.get("/answers/{seq}")
async def answer(seq: Number, who: Asker, office: InOffice) -> Json:
    """Return what an answer was made from: passages, release, adapters and their verdict."""
    found = await asyncio.to_thread(office.answer, seq, who)
    if found is None:
        raise NotFound("answer")
    return answer_lineage_json(found)
