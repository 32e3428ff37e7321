"""Who may read what."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class Audience:
    """The groups that may read a document. No group means nobody."""

    groups: frozenset[str]

    @property
    def is_everyone(self) -> bool:
        return EVERYONE in self.groups

    def meet(self, other: Audience) -> Audience:
        """Return who may read both: what is made from two documents is for those alone."""
        if self.is_everyone:
            return other
        if other.is_everyone:
            return self
        return Audience(self.groups & other.groups)

    def covers(self, other: Audience) -> bool:
        """Tell whether everyone who may read `other` may read this."""
        return self.is_everyone or (not other.is_everyone and other.groups <= self.groups)

    def same_zone(self, other: Audience) -> bool:
        """Tell whether documents of these two audiences lie in one zone."""
        return self == other or (self.is_everyone and other.is_everyone)

    @property
    def label(self) -> str:
        """Return what its zone is called outside, where names of groups do not belong."""
        if self.is_everyone:
            return EVERYONE
        named = json.dumps(sorted(self.groups)).encode()
        return f"zone-{hashlib.sha256(named).hexdigest()[:8]}"

    def __str__(self) -> str:
        return EVERYONE if self.is_everyone else ", ".join(sorted(self.groups)) or "nobody"


ALL = Audience(frozenset({EVERYONE}))
NOBODY = Audience(frozenset())


@dataclass(frozen=True, slots=True)
class Principal:
    """The person asking. Built from a verified token and the directory, never from a request body."""

    subject: str
    groups: frozenset[str]
    together: bool = False  # not a person: all members of these groups at once, who see what each may read

    @classmethod
    def members(cls, zone: Audience) -> Principal:
        """Return who reads what every member of a zone may read, and nothing else."""
        return cls("curriculum", zone.groups - {EVERYONE} if not zone.is_everyone else frozenset(), True)

    def may_read(self, audience: Audience) -> bool:
        if self.together and self.groups and not audience.covers(Audience(self.groups)):
            return False
        return bool(audience.groups & (self.groups | {EVERYONE}))
