"""A ledger and a registry in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock

from kiban.domain.learning import Curriculum, Weights
from kiban.domain.release import Action, LedgerEntry, Release
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

    def append(
        self, *, after: int, actor: str, action: Action, release: Release, reason: str, evidence: str
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
    """A Registry in a dict."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[Weights, dict[str, str], str]]] = {}
        self.aliases: dict[tuple[str, str], str] = {}  # (model, alias) -> "name/version"

    def register(self, name: str, weights: Weights, tags: Mapping[str, str], card: str) -> str:
        kept = self.versions.setdefault(name, [])
        kept.append((weights, dict(tags), card))
        return f"{name}/{len(kept)}"

    def alias(self, alias: str, version: str | None, name: str) -> None:
        if version is None:
            self.aliases.pop((name, alias), None)
        else:
            self.aliases[name, alias] = version
