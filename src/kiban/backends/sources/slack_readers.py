"""Slack's conversations and people, and who of them reads what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kiban.backends.sources.fetching import group_name
from kiban.domain.access import Audience


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    name: str
    public: bool  # within the workspace

    def audience(self, source: str) -> Audience:
        """Its members read it; a public one is also read by all of the workspace but its guests."""
        workspace = {group_name(source, "workspace")} if self.public else set[str]()
        return Audience(frozenset(workspace | {group_name(source, "channel", self.id)}))

    def is_chosen(self, channels: frozenset[str]) -> bool:
        """Tell whether the settings want it, by name or id; without any wish, everything that is seen."""
        return not channels or self.id in channels or self.name in channels


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str  # as shown beside messages
    email: str
    full: bool  # a member of the workspace, not a guest
    active: bool  # a human being who may still log in

    @classmethod
    def read(cls, raw: Mapping[str, Any], team: str) -> Person:
        profile = raw.get("profile", {})
        shown = profile.get("display_name") or profile.get("real_name") or raw.get("name") or raw["id"]
        teams = {raw.get("team_id", team), *raw.get("enterprise_user", {}).get("teams", ())}
        guest = raw.get("is_restricted") or raw.get("is_ultra_restricted") or raw.get("is_stranger")
        return cls(
            id=raw["id"],
            name=shown,
            email=str(profile.get("email") or "").lower(),
            full=not guest and team in teams,
            active=not (raw.get("deleted") or raw.get("is_bot")),
        )


def memberships(
    source: str, people: Iterable[Person], members: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """Return the groups of each active person; `members` has the ids of people by conversation."""
    ours: dict[str, frozenset[str]] = {}
    for person in people:
        if person.active:
            within = {
                group_name(source, "channel", id) for id, inside in members.items() if person.id in inside
            }
            if person.full:
                within.add(group_name(source, "workspace"))
            ours[person.email or person.id] = frozenset(within)
    return ours
