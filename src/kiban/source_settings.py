"""What kiban.toml says of each source, one `[[sources]]` table each:

    [[sources]]
    kind = "folder"
    name = "handbook"
    path = "/srv/handbook"

A secret is written as it is, or as "env:NAME", which settings.py reads from the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AnySource(BaseModel):
    """What every kind of source has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w.-]{1,60}$", description="Unique; documents are kept under it")


class FolderSettings(AnySource):
    """A folder, with `.readers.yaml` and `.people.yaml` in it."""

    kind: Literal["folder"]
    path: Path


SourceSettings = FolderSettings
