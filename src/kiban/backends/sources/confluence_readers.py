"""Who may read what in Confluence: whoever may read the space, narrowed by restrictions on the way down.

A group of ours is "SOURCE:SPACE" (all who may read the space), "SOURCE:SPACE:group:ID" (those of them in this
group of Confluence) or "SOURCE:SPACE:user:ID" (this person, if one of them). Leaving a group, or a space,
then needs no document to be listed again: memberships alone carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kiban.backends.sources.fetching import group_name
from kiban.domain.access import NOBODY, Audience
from kiban.errors import GoneMeanwhile


@dataclass(frozen=True, slots=True)
class Space:
    """Who may read a space: "user:ID" and "group:ID", and whether people without an account may."""

    named: frozenset[str]
    anonymous: bool


@dataclass(frozen=True, slots=True)
class Content:
    """A page, blog post or attachment, as listed."""

    id: str
    space: str
    uri: str
    tag: str
    size: int
    url: str
    modified: datetime
    above: tuple[str, ...]  # ids of all pages above; of an attachment, of the page it hangs on
    attached: bool
    named: frozenset[str]  # by its own read restriction; none means that it has none
    complete: bool  # whether that is known


class Readers:
    """Turns spaces and restrictions into audiences and memberships.

    `find` gives a content that is not among the `known`, or raises GoneMeanwhile; `members` gives the ids
    of the users in a group.
    """

    def __init__(
        self,
        source: str,
        spaces: Mapping[str, Space],
        anonymous_readers: frozenset[str],
        known: dict[str, Content],
        find: Callable[[str], Content],
        members: Callable[[str], frozenset[str]],
    ) -> None:
        self._source = source
        self._spaces = spaces
        self._anonymous_readers = anonymous_readers
        self._known = known
        self._find = find
        self._members = members
        self._people: dict[str, frozenset[str]] = {}  # by "group:ID"

    def audience(self, content: Content) -> Audience:
        """Return who may read a content. Whatever is unknown on the way down means nobody."""
        try:
            chain = self._chain(content)
        except GoneMeanwhile:
            return NOBODY
        space = self._spaces.get(content.space)
        if space is None or not (space.named or space.anonymous) or not all(link.complete for link in chain):
            return NOBODY
        if restrictions := {link.named for link in chain if link.named}:
            named = self._in_all(sorted(restrictions, key=len))
            return Audience(frozenset(self._group(content.space, *one.split(":", 1)) for one in named))
        opened = self._anonymous_readers if space.anonymous else frozenset()
        return Audience(opened | {self._group(content.space)})

    def memberships(self, user: str, groups: frozenset[str]) -> frozenset[str]:
        """Return our groups of a person, from the ids of the person and of their groups there."""
        is_called = {f"user:{user}", *(f"group:{group}" for group in groups)}
        ours: set[str] = set()
        for key, space in self._spaces.items():
            if space.anonymous or is_called & space.named:
                ours.add(self._group(key))
                ours.update(self._group(key, *one.split(":", 1)) for one in is_called)
        return frozenset(ours)

    def _in_all(self, restrictions: Sequence[frozenset[str]]) -> frozenset[str]:
        """Return who satisfies every restriction: one of them if all it names satisfy the others today,
        else person by person. Only here can a change of groups have to wait for the next whole listing."""
        if len(restrictions) == 1:
            return restrictions[0]
        people = [self._people_of(named) for named in restrictions]
        common = frozenset.intersection(*people)
        for named, allowed in zip(restrictions, people, strict=True):
            if allowed == common:
                return named
        return common

    def _people_of(self, named: frozenset[str]) -> frozenset[str]:
        """Return everyone named, as "user:ID"."""
        for group in named:
            if group.startswith("group:") and group not in self._people:
                found = self._members(group.removeprefix("group:"))
                self._people[group] = frozenset(f"user:{user}" for user in found)
        return frozenset[str]().union(*(self._people.get(one, frozenset((one,))) for one in named))

    def _chain(self, content: Content) -> list[Content]:
        above = [self._content(id) for id in content.above]
        return [content, *(self._chain(above[0]) if content.attached else above)]

    def _content(self, id: str) -> Content:
        if id not in self._known:
            self._known[id] = self._find(id)
        return self._known[id]

    def _group(self, *parts: str) -> str:
        return group_name(self._source, *parts)
