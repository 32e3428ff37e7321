"""What a question can be narrowed to, and how it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kiban.domain.question import Choices, Scope

Name = Annotated[str, Field(max_length=2_000, pattern="^[^\\x00]*$")]  # Postgres has no place for NUL
Id = Annotated[int, Field(ge=1, le=2**62)]
Names = Annotated[list[Name], Field(max_length=100)]


class ScopeRequest(BaseModel):
    """Which of the documents you may read are asked about: those that meet every condition set here."""

    model_config = ConfigDict(extra="forbid")

    sources: Names = Field([], description="Only documents of these sources")
    under: Name = Field("", description="Only documents whose uri begins so, e.g. minutes/")
    formats: Names = Field([], description="Only documents whose uri ends so, e.g. pdf")
    documents: list[Id] = Field([], max_length=1_000, description="Only documents with these ids")
    modified_from: AwareDatetime | None = Field(None, description="Only documents modified at or after this")
    modified_before: AwareDatetime | None = Field(None, description="Only documents modified before this")

    @property
    def scope(self) -> Scope:
        return scope(
            self.sources,
            self.under,
            self.formats,
            self.modified_from,
            self.modified_before,
            documents=self.documents,
        )


def scope(
    sources: Sequence[str],
    under: str,
    formats: Sequence[str],
    modified_from: datetime | None,
    modified_before: datetime | None,
    *,
    documents: Sequence[int] = (),
) -> Scope:
    """Return what is asked about, however a person writes an ending: ".PDF" is "pdf"."""
    return Scope(
        sources=tuple(sources),
        under=under,
        formats=tuple(name.lower().removeprefix(".") for name in formats),
        documents=tuple(documents),
        modified_from=modified_from,
        modified_before=modified_before,
    )


def choices_json(choices: Choices) -> dict[str, Any]:
    return {"object": "choices", **asdict(choices)}
