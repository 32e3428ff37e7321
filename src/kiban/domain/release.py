"""Verdict → Release."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Release:
    """What answers, as one unit: weights, index generation and prompt move together or not at all."""

    llm: str  # name and hash of the base model
    adapter: str | None  # the immutable name the generator serves it under
    adapter_path: str | None
    adapter_sha256: str | None
    embedder: str  # path of the embedder's weights
    embedder_sha256: str
    generation: int
    prompt_version: str
    curriculum_sha256: str | None  # what the weights saw; None when nothing was learnt

    @property
    def id(self) -> str:
        content = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:12]


class Action(StrEnum):
    FOUNDED = "founded"  # the base release, when the house is built
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the append-only, hash-chained ledger. The last one names the release in force."""

    seq: int
    at: datetime
    actor: str
    action: Action
    release_id: str
    reason: str
    evidence: str  # where the verdict's report lies; "" when none
    previous_hash: str
    hash: str
