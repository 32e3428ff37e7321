"""Who may read what."""

from __future__ import annotations

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


NOBODY = Audience(frozenset())


@dataclass(frozen=True, slots=True)
class Principal:
    """The person asking. Built from a verified token and the directory, never from a request body."""

    subject: str
    groups: frozenset[str]

    def may_read(self, audience: Audience) -> bool:
        return bool(audience.groups & (self.groups | {EVERYONE}))
