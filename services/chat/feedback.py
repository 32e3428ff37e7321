"""What people say of answers, and the curators' queue."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from kiban.domain.feedback import Evidence, Feedback, Rating
from kiban.domain.text import Span
from services.chat.guard import Asker, AtDesk
from services.chat.shapes import LONGEST_MESSAGE, LONGEST_QUESTION, Json

router = APIRouter(prefix="/v1/feedback")

Words = Annotated[str, Field(max_length=2_000)]


class EvidenceRequest(BaseModel):
    """The place that answers: a quotation from a document, word for word."""

    model_config = ConfigDict(extra="forbid")

    document_id: int
    quote: Annotated[str, Field(min_length=1, max_length=2_000)]


class FeedbackRequest(BaseModel):
    """A thumb; with a correction or the place that answers, something that can be learnt from."""

    model_config = ConfigDict(extra="forbid")

    rating: Literal["up", "down"]
    question: Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)]
    answer: Annotated[str, Field(max_length=LONGEST_MESSAGE)]
    release: Annotated[str, Field(max_length=64)] = ""
    correction: Words = ""
    comment: Words = ""
    evidence: EvidenceRequest | None = None


class DecisionRequest(BaseModel):
    """What a curator says of it."""

    model_config = ConfigDict(extra="forbid")

    approves: bool
    reason: Words = ""


@router.post("", status_code=201)
async def give(body: FeedbackRequest, who: Asker, desk: AtDesk) -> Json:
    """Keep feedback. Evidence must stand verbatim in a document you may read."""
    proof = body.evidence and Evidence(body.evidence.document_id, 0, Span(0, 0), body.evidence.quote)
    given = Feedback(
        id=0,
        at=datetime.now(UTC),
        author=who.subject,
        rating=Rating(body.rating),
        question=body.question.strip(),
        answer=body.answer,
        release_id=body.release,
        correction=body.correction.strip(),
        comment=body.comment,
        evidence=proof or None,
    )
    return {"object": "feedback", "id": await asyncio.to_thread(desk.give, given, who)}


@router.get("")
async def waiting(who: Asker, desk: AtDesk) -> Json:
    """Return what waits for curators, about documents you may read."""
    found = await asyncio.to_thread(desk.waiting, who)
    return {"object": "list", "data": [feedback_json(one) for one in found]}


@router.post("/{feedback_id}/decision")
async def decide(feedback_id: int, body: DecisionRequest, who: Asker, desk: AtDesk) -> Json:
    """Approve or refuse. Two curators other than the author have to approve; one refusal is enough."""
    said = partial(desk.decide, approves=body.approves, reason=body.reason)
    return feedback_json(await asyncio.to_thread(said, feedback_id, who))


def feedback_json(one: Feedback) -> Json:
    return {
        "object": "feedback",
        **asdict(one),
        "at": one.at.isoformat(),
        "decisions": [{**asdict(said), "at": said.at.isoformat()} for said in one.decisions],
        "approved": one.approved,
        "refused": one.refused,
    }
