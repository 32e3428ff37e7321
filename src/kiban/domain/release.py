"""Verdict → Release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from kiban.domain.access import Audience


@dataclass(frozen=True, slots=True)
class ZoneAdapter:
    """An adapter that only the members of a zone are answered with."""

    groups: tuple[str, ...]  # the zone's audience, sorted
    name: str  # the immutable name the generator serves it under
    path: str
    sha256: str
    curriculum_sha256: str

    @property
    def audience(self) -> Audience:
        return Audience(frozenset(self.groups))


@dataclass(frozen=True, slots=True)
class ServedAdapter:
    """One of the adapters of a release, as servers need to know it."""

    name: str
    path: str
    sha256: str


ADDED = frozenset({"reranker", "reranker_sha256", "zones"})  # since ids are given: unset, they change no id


@dataclass(frozen=True, slots=True)
class Release:
    """What answers, as one unit: weights, index generation and prompt move together or not at all."""

    llm: str  # name and hash of the base model
    adapter: str | None  # the immutable name the generator serves it under
    adapter_path: str | None
    adapter_sha256: str | None
    embedder: str  # path of the embedder's weights
    embedder_sha256: str
    generation: int
    prompt_version: str
    curriculum_sha256: str | None  # what the weights for everyone saw; None when nothing was learnt
    reranker: str | None = None  # path of the reranker's weights
    reranker_sha256: str | None = None
    zones: tuple[ZoneAdapter, ...] = ()  # sorted by their groups

    @property
    def id(self) -> str:
        named = {name: value for name, value in asdict(self).items() if value or name not in ADDED}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def curricula(self) -> frozenset[str]:
        """Return what any of its weights have learnt from."""
        for_everyone = {self.curriculum_sha256} if self.curriculum_sha256 else set()
        return frozenset(for_everyone | {zone.curriculum_sha256 for zone in self.zones})

    @property
    def adapters(self) -> tuple[ServedAdapter, ...]:
        """Return everyone's adapter, if there is one, and those of its zones."""
        for_everyone = [(self.adapter, self.adapter_path or "", self.adapter_sha256 or "")]
        named = [*for_everyone, *((zone.name, zone.path, zone.sha256) for zone in self.zones)]
        return tuple(ServedAdapter(name, path, sha256) for name, path, sha256 in named if name)

    def zone(self, audience: Audience) -> ZoneAdapter | None:
        """Return the adapter of the zone of these readers; None if it has none of its own."""
        return next((zone for zone in self.zones if zone.audience == audience), None)

    def with_zone(self, adapter: ZoneAdapter) -> Release:
        """Return this release with one zone's adapter put in, or in place of the one it had."""
        others = [zone for zone in self.zones if zone.groups != adapter.groups]
        return replace(self, zones=tuple(sorted([*others, adapter], key=lambda zone: zone.groups)))

    def without(self, curricula: Container[str]) -> Release:
        """Return this release without the zones' adapters that learnt from any of these."""
        return replace(
            self, zones=tuple(zone for zone in self.zones if zone.curriculum_sha256 not in curricula)
        )

    def narrowed(self, zone: ZoneAdapter | None = None) -> Release:
        """Return what of this release takes part where one zone's adapter answers, or none of them."""
        return replace(self, zones=(zone,) if zone else ())


@dataclass(frozen=True, slots=True)
class ShelvedVersion:
    """A version of weights as people see it in the registry, where they may have changed anything."""

    name: str  # what the registry calls the model
    number: int
    sha256: str
    aliases: frozenset[str]
    told: str  # what we last answered to somebody's wish about this version; "" for nothing

    @property
    def version(self) -> str:
        return f"{self.name}/{self.number}"


@dataclass(frozen=True, slots=True)
class Shelf:
    """All versions of one model in the registry, and where we ourselves put its champion alias last."""

    name: str
    versions: tuple[ShelvedVersion, ...]
    champion: int | None  # the version we put it on; None for none, or before the first time
    champion_seq: int  # the ledger entry that this followed; 0 before the first time

    def holding(self, sha256: str | None) -> ShelvedVersion | None:
        return next((version for version in self.versions if version.sha256 == sha256), None)

    def under(self, alias: str) -> ShelvedVersion | None:
        return next((version for version in self.versions if alias in version.aliases), None)


class Action(StrEnum):
    FOUNDED = "founded"  # the base release, when the house is built
    PROMOTED = "promoted"
    FLIPPED = "flipped"  # to another index generation; weights and prompt stayed
    PROPOSED = "proposed"  # waits for a person's word; changes nothing
    TRIED = "tried"  # answers `share` per cent of people, at 0 none yet; see release/canary.py
    ROLLED_BACK = "rolled back"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the append-only, hash-chained ledger. The last one names the release in force."""

    seq: int
    at: datetime
    actor: str
    action: Action
    release_id: str
    reason: str
    evidence: str  # where the verdict's report lies; "" when none
    previous_hash: str
    hash: str
    share: int = 100  # per cent of people whom the release answers by this entry

    @classmethod
    def following(
        cls,
        previous: LedgerEntry | None,
        *,
        at: datetime,  # to the microsecond, with a time zone
        actor: str,
        action: Action,
        release_id: str,
        reason: str,
        evidence: str,
        share: int = 100,
    ) -> LedgerEntry:
        """Return the next entry, sealed with a hash over its content and the hash before it."""
        seq, before = (previous.seq + 1, previous.hash) if previous else (1, "")
        at = at.astimezone(UTC)
        some = () if share == 100 else (share,)  # entries from before there were trials keep their hashes
        sealed = (seq, at.isoformat(), actor, action.value, release_id, reason, evidence, before, *some)
        digest = hashlib.sha256(json.dumps(sealed, ensure_ascii=False).encode()).hexdigest()
        return cls(seq, at, actor, action, release_id, reason, evidence, before, digest, share)


def tampered(entries: Sequence[LedgerEntry]) -> int | None:
    """Return the number of the first entry that was changed, dropped or moved; None when all are intact."""
    previous: LedgerEntry | None = None
    for expected, entry in enumerate(entries, start=1):
        again = LedgerEntry.following(
            previous,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            release_id=entry.release_id,
            reason=entry.reason,
            evidence=entry.evidence,
            share=entry.share,
        )
        if (entry.seq, entry.hash, entry.previous_hash) != (again.seq, again.hash, again.previous_hash):
            return expected
        previous = entry
    return None
