"""Who may do what. What somebody may read is another question, which `access.py` answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kiban.domain.access import EVERYONE, Principal


class Right(StrEnum):
    """One thing that may be done. Service tokens name these as their scopes."""

    ASK = "ask"  # be answered, and keep conversations
    SEARCH = "search"  # find passages, open documents, embed
    FEEDBACK = "feedback"  # say what an answer was worth
    CURATE = "curate"  # decide what is learnt from feedback
    OPERATE = "operate"  # see how the house stands: documents, releases, verdicts
    AUDIT = "audit"  # see what was answered, as keyed hashes


class Role(StrEnum):
    """What a person is here, by the groups that the settings name."""

    READER = "reader"
    CURATOR = "curator"
    OPERATOR = "operator"
    AUDITOR = "auditor"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.READER: frozenset({Right.ASK, Right.SEARCH, Right.FEEDBACK}),
    Role.CURATOR: frozenset({Right.CURATE}),
    Role.OPERATOR: frozenset({Right.OPERATE}),
    Role.AUDITOR: frozenset({Right.AUDIT}),
}


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """Return what somebody with these roles may do. No role means nothing."""
    return frozenset().union(*(RIGHTS[role] for role in roles))


@dataclass(frozen=True, slots=True)
class RoleGroups:
    """Which group makes somebody what."""

    readers: str = EVERYONE
    curators: str = "curators"
    operators: str = "operators"
    auditors: str = "auditors"

    def roles_of(self, groups: frozenset[str]) -> frozenset[Role]:
        """Return the roles of a member of these groups."""
        by_group = {
            Role.READER: self.readers,
            Role.CURATOR: self.curators,
            Role.OPERATOR: self.operators,
            Role.AUDITOR: self.auditors,
        }
        return frozenset(role for role, group in by_group.items() if group in groups | {EVERYONE})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls: the person, and what this call may do. A token with scopes allows no more than they say,
    and no more than the person may do."""

    who: Principal
    rights: frozenset[Right]
