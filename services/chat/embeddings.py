"""POST /v1/embeddings: vectors of the space this house searches in."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from kiban.domain.question import Embedded
from services.chat.completions import require_model
from services.chat.guard import Asker, House
from services.chat.shapes import EMBEDDER, LONGEST_MESSAGE, Json

router = APIRouter()
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_MESSAGE)]


class EmbeddingRequest(BaseModel):
    """A request as OpenAI's clients send it; `input_type` says what the texts are to each other."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(json_schema_extra={"enum": [EMBEDDER]})]
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=256)]
    input_type: Literal["passage", "query"] = "passage"
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


@router.post("/v1/embeddings")
async def embed(body: EmbeddingRequest, who: Asker, house: House) -> Json:
    """Return a unit vector per text. Those of two releases may not compare; `kiban.release` names theirs."""
    require_model(body.model, (EMBEDDER,))
    embedded = await asyncio.to_thread(house.embed, body.texts, as_queries=body.input_type == "query")
    return {
        "object": "list",
        "model": EMBEDDER,
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(_encoded(embedded, body.encoding_format))
        ],
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
        "kiban": {"release": embedded.release_id},
    }


def _encoded(embedded: Embedded, form: str) -> list[str] | list[list[float]]:
    """Return numbers, or their little-endian float32 in base64."""
    if form == "float":
        return [list(vector) for vector in embedded.vectors]
    return [base64.b64encode(np.asarray(v, dtype="<f4").tobytes()).decode() for v in embedded.vectors]
