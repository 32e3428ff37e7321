"""A ledger and a registry in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock

from kiban.domain.learning import Curriculum, Weights
from kiban.domain.release import Action, LedgerEntry, Release, Shelf, ShelvedVersion
from kiban.errors import (
    ConcurrentRelease,
    NoSuchRelease,
)


class MemoryLedger:
    """A Ledger in a list."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []
        self._releases: dict[str, Release] = {}
        self._tainted: dict[str, tuple[str, ...]] = {}
        self._lock = Lock()
        self.curricula: dict[str, Curriculum] = {}

    def entries(self) -> list[LedgerEntry]:
        return list(self._entries)

    def release(self, release_id: str) -> Release:
        try:
            return self._releases[release_id]
        except KeyError:
            raise NoSuchRelease(release_id) from None

    def keep_release(self, release: Release) -> None:
        self._releases[release.id] = release

    def append(
        self,
        *,
        after: int,
        actor: str,
        action: Action,
        release: Release,
        reason: str,
        evidence: str,
        share: int = 100,
    ) -> LedgerEntry:
        with self._lock:
            if after != len(self._entries):
                raise ConcurrentRelease(f"Entry {after + 1} exists.")
            entry = LedgerEntry.following(
                self._entries[-1] if self._entries else None,
                at=datetime.now(UTC),
                actor=actor,
                action=action,
                release_id=release.id,
                reason=reason,
                evidence=evidence,
                share=share,
            )
            self._releases[release.id] = release
            self._entries.append(entry)
            return entry

    def tainted(self) -> dict[str, tuple[str, ...]]:
        return dict(self._tainted)

    def keep_curriculum(self, curriculum: Curriculum) -> None:
        self.curricula[curriculum.sha256] = curriculum

    def taint(self, curriculum_sha256: str, *uris: str) -> None:
        """What deleting a document does in the real one."""
        self._tainted[curriculum_sha256] = uris


class MemoryRegistry:
    """A Registry in dicts, and the hands of people on its page."""

    def __init__(self) -> None:
        self.versions: dict[str, dict[int, tuple[Weights, dict[str, str], str]]] = {}
        self.aliases: dict[tuple[str, str], int] = {}  # (model, alias) -> version
        self.told: dict[tuple[str, int], str] = {}
        self._crowned: dict[str, tuple[int | None, int]] = {}
        self._made: dict[str, int] = {}

    def register(self, name: str, weights: Weights, tags: Mapping[str, str], card: str) -> str:
        number = self._made[name] = self._made.get(name, 0) + 1
        self.versions.setdefault(name, {})[number] = (weights, dict(tags), card)
        return f"{name}/{number}"

    def alias(self, alias: str, version: str | None, name: str) -> None:
        if version is None:
            self.aliases.pop((name, alias), None)
        else:
            self.aliases[name, alias] = int(version.rpartition("/")[2])

    def shelf(self, name: str) -> Shelf:
        versions = tuple(
            ShelvedVersion(
                name,
                number,
                weights.sha256,
                frozenset(alias for (of, alias), at in self.aliases.items() if (of, at) == (name, number)),
                self.told.get((name, number), ""),
            )
            for number, (weights, _, _) in self.versions.get(name, {}).items()
        )
        return Shelf(name, versions, *self._crowned.get(name, (None, 0)))

    def crown(self, name: str, number: int | None, seq: int) -> None:
        if self.versions.get(name):
            self.alias("champion", None if number is None else f"{name}/{number}", name)
            self._crowned[name] = (number, seq)

    def tell(self, version: str, text: str) -> None:
        name, _, number = version.rpartition("/")
        self.told[name, int(number)] = text

    def delete(self, name: str, number: int) -> None:
        """What a person does on the page; a version's aliases go with it."""
        del self.versions[name][number]
        self.aliases = {key: at for key, at in self.aliases.items() if (key[0], at) != (name, number)}
