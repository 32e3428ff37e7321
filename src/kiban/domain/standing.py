"""What one wants to know of a document before believing an answer made from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kiban.domain.access import Audience, Principal
from kiban.domain.document import Document


class Stale(StrEnum):
    """Why somebody should look at the place itself."""

    UNREACHED = "unreached"  # its source has not been listed to the end for long, or ever
    REVISED = "revised"  # newer content waits to be read
    OLD = "old"  # last modified long ago


@dataclass(frozen=True, slots=True)
class Patience:
    """After how long something is stale."""

    unreached: timedelta
    old: timedelta


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read a document, as one of its readers is told: other groups are counted, not named."""

    everyone: bool
    yours: tuple[str, ...]  # groups of the asker, sorted
    others: int

    @classmethod
    def told(cls, audience: Audience, who: Principal) -> Readers:
        yours = tuple(sorted(audience.groups & who.groups))
        others = 0 if audience.is_everyone else len(audience.groups) - len(yours)
        return cls(audience.is_everyone, yours, others)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one document stands, for one of its readers."""

    document: Document
    surveyed: datetime | None  # when its source was last listed to the end
    readers: Readers
    stale: tuple[Stale, ...]
