"""Who is in which group, from the company's directories, beside what sources of documents say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiban.directory_settings import DirectorySettings
from kiban.errors import PartUnavailable, SourceRefused
from kiban.wiring.furniture import Furniture
from kiban.wiring.identity import DIRECTORY
from kiban.wiring.people import PeopleTimes

if TYPE_CHECKING:  # few houses have one
    from kiban.backends.ldap_directory import LdapDirectory


@dataclass(frozen=True, slots=True)
class Followed:
    """How following one directory ended."""

    name: str
    people: int = 0
    groups: int = 0
    seconds: float = 0.0
    error: PartUnavailable | SourceRefused | None = None


class Directories:
    """Followed every few minutes. While one does not answer, what it said last holds."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._times = PeopleTimes(furniture.settings)

    def follow(self) -> list[Followed]:
        """Follow each directory whose time it is, and forget what those said that are no longer asked."""
        named = self._furniture.settings.directories
        self._furniture.library.forget_memberships(DIRECTORY, [_source(each) for each in named])
        return list(self._follow(each for each in named if self._times.due(_source(each))))

    def follow_now(self) -> list[Followed]:
        """Follow every directory."""
        return list(self._follow(iter(self._furniture.settings.directories)))

    def _follow(self, directories: Iterator[DirectorySettings]) -> Iterator[Followed]:
        for each in directories:
            began = time.monotonic()
            self._times.asked(_source(each))
            try:
                told = _opened(each).memberships()
            except (PartUnavailable, SourceRefused) as error:
                yield Followed(each.name, seconds=time.monotonic() - began, error=error)
                continue
            self._furniture.library.set_memberships(_source(each), told)
            groups = len(frozenset[str]().union(*told.values()))
            yield Followed(each.name, len(told), groups, time.monotonic() - began)


def _source(directory: DirectorySettings) -> str:
    return f"{DIRECTORY}{directory.name}"


def _opened(settings: DirectorySettings) -> LdapDirectory:
    from kiban.backends.ldap_directory import Branch, LdapDirectory, Server

    return LdapDirectory(
        settings.name,
        Server(
            settings.host,
            settings.port,
            settings.tls,
            settings.bind,
            settings.password.get_secret_value(),
            settings.authority,
            settings.seconds,
        ),
        Branch(settings.people, settings.people_filter, settings.person),
        Branch(settings.groups, settings.groups_filter, settings.group),
        prefix=settings.prefix,
        page=settings.page,
    )
