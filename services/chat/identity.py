"""Who you are here."""

from __future__ import annotations

from fastapi import APIRouter

from services.chat.guard import Admitted
from services.chat.shapes import Json

router = APIRouter()


@router.get("/v1/me")
async def me(caller: Admitted) -> Json:
    """Return your name, and what you may do with this token."""
    return {"object": "caller", "subject": caller.who.subject, "rights": sorted(caller.rights)}
