"""Who may read a drive item of Microsoft Graph, from its permissions, inherited ones among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kiban.backends.sources.fetching import group_name
from kiban.domain.access import Audience

_READING = frozenset(("read", "write", "owner", "sp.owner", "sp.member"))
_PERSON = "i:0#.f|membership|"
_GROUPS = ("c:0o.c|federateddirectoryclaimprovider|", "c:0t.c|tenant|")
_ALL = ("c:0-.f|rolemanager|spo-grid-all-users/", "c:0(.s|true")


@dataclass(frozen=True, slots=True)
class GraphReaders:
    """What the settings say of readers that Graph does not resolve to people."""

    source: str
    organization: frozenset[str] = frozenset()  # our groups for what the whole organization may read
    anonymous: frozenset[str] = frozenset()  # our groups for what anyone with a link may read
    site_groups: Mapping[str, Sequence[str]] = field(default_factory=dict)  # name -> ids of Entra groups

    def audience(self, permissions: Iterable[Mapping[str, Any]], now: datetime | None = None) -> Audience:
        """Return who may read; what is not understood adds nobody."""
        now = now or datetime.now(UTC)
        groups: set[str] = set()
        for permission in permissions:
            if _READING.intersection(permission.get("roles", ())) and not _expired(permission, now):
                groups.update(self._granted(permission))
        return Audience(frozenset(groups))

    def of_user(self, user: Mapping[str, Any]) -> set[str]:
        """Return the groups that stand for one person."""
        return {self._group("user", user["id"]), self._group("login", user["userPrincipalName"].lower())}

    def of_group(self, group: str) -> str:
        return self._group("group", group)

    def fingerprint(self) -> str:
        """Return what changes when the settings do: then everything has to be listed again."""
        said = (
            sorted(self.organization),
            sorted(self.anonymous),
            sorted(map(repr, self.site_groups.items())),
        )
        return hashlib.sha256(repr((self.source, said)).encode()).hexdigest()[:16]

    def _granted(self, permission: Mapping[str, Any]) -> Iterator[str]:
        link = permission.get("link") or {}
        if link.get("scope") == "organization":
            yield from self.organization
        elif link.get("scope") == "anonymous" and not permission.get("hasPassword"):
            yield from self.anonymous
        for identities in (
            permission.get("grantedToV2") or permission.get("grantedTo"),
            *(permission.get("grantedToIdentitiesV2") or permission.get("grantedToIdentities") or ()),
        ):
            for kind, identity in (identities or {}).items():
                yield from self._named(kind, identity or {})

    def _named(self, kind: str, identity: Mapping[str, Any]) -> Iterator[str]:
        match kind:
            case "user" | "group" if identity.get("id"):
                yield self._group(kind, identity["id"])
            case "siteUser":
                yield from self._claimed(identity.get("loginName") or "")
            case "siteGroup":
                named = self.site_groups.get(identity.get("displayName") or "", ())
                yield from (self.of_group(group) for group in named)

    def _claimed(self, login: str) -> Iterator[str]:
        """Read a SharePoint claim: a person, an Entra group, or everyone in the organization."""
        if login.startswith(_PERSON):
            yield self._group("login", login.removeprefix(_PERSON).lower())
        elif login.startswith(_ALL):
            yield from self.organization
        elif login.startswith(_GROUPS):
            group = login.rpartition("|")[2]
            if not group.endswith("_o"):  # the owners of a group, whom Graph does not list as a group
                yield self.of_group(group)

    def _group(self, *parts: str) -> str:
        return group_name(self.source, *parts)


def _expired(permission: Mapping[str, Any], now: datetime) -> bool:
    until = permission.get("expirationDateTime") or "0001"  # the year that stands for none
    return not until.startswith("0001") and datetime.fromisoformat(until) <= now
