"""A person's own conversations."""

from __future__ import annotations

import asyncio
from uuid import UUID

from fastapi import APIRouter

from kiban.domain.conversation import Conversation, Exchange
from services.chat.errors import NotFound
from services.chat.guard import Asker, Kept
from services.chat.shapes import Json, answer_json

router = APIRouter(prefix="/v1/conversations")


@router.get("")
async def conversations(who: Asker, kept: Kept) -> Json:
    """Return your conversations, the last one first."""
    found = await asyncio.to_thread(kept.all, who)
    return {"object": "list", "data": [_conversation(one) for one in found]}


@router.post("", status_code=201)
async def begin(who: Asker, kept: Kept) -> Json:
    """Begin a conversation. Name it as `conversation` in a question, and the answer is kept."""
    return {"object": "conversation", "id": await asyncio.to_thread(kept.begin, who)}


@router.get("/{id}")
async def conversation(id: UUID, who: Asker, kept: Kept) -> Json:
    """Return what was said. An answer from documents that you may not read any more is left out."""
    said = await asyncio.to_thread(kept.read, str(id), who)
    if not said:
        raise NotFound("conversation")
    return {"object": "conversation", "id": str(id), "exchanges": [_exchange(one) for one in said]}


@router.delete("/{id}", status_code=204)
async def delete(id: UUID, who: Asker, kept: Kept) -> None:
    """Forget a conversation."""
    if not await asyncio.to_thread(kept.delete, str(id), who):
        raise NotFound("conversation")


def _conversation(one: Conversation) -> Json:
    begun, last = int(one.begun.timestamp()), int(one.last.timestamp())
    told = {"title": one.title, "created_at": begun, "last_at": last}
    return {"object": "conversation", "id": one.id, **told}


def _exchange(one: Exchange) -> Json:
    answer = one.answer and {"text": one.answer.text, "kiban": answer_json(one.answer)}
    return {"question": one.question, "at": int(one.at.timestamp()), "answer": answer}
