"""Which release answers: read from the ledger on every call, so that a deletion withdraws weights at once.

The ledger is read as a pile. Founding, promoting and flipping put a release on top; rolling back takes
releases off until the one it names is on top. In force is the topmost release whose weights for everyone are
not tainted now, with those adapters of zones, as they stand on the top of the pile, that are not tainted
either: weights go alone, and take nothing along that has not seen the document. Withdrawing writes that down:
it takes releases off until the one on top holds no weights that the named one lacks, and puts the named one
there. A release that somebody rolled back from, or weights that were withdrawn, are never returned to.

Whoever changes the ledger says which entry they saw last (`seen`). Of two people who saw the same one, the
first wins and the second gets ConcurrentRelease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kiban.domain.access import ALL, Audience
from kiban.domain.evidence import Outcome, Verdict
from kiban.domain.release import Action, LedgerEntry, Release
from kiban.errors import NoSuchRelease, NotEarned
from kiban.ports import Ledger

ON_TOP = (Action.FOUNDED, Action.PROMOTED, Action.FLIPPED)
ASIDE = (Action.PROPOSED, Action.TRIED)  # put nothing on the pile and take nothing off


def found(ledger: Ledger, release: Release, actor: str) -> LedgerEntry:
    """Write the first entry: the base release, which learnt nothing and so can never be withdrawn.

    Safe to repeat. Raises NotEarned for a release with learnt weights.
    """
    if release.adapter or release.reranker or release.curriculum_sha256 is not None:
        raise NotEarned("The base release holds no learnt weights.")
    entries = ledger.entries()
    if entries:
        return entries[0]
    reason = "The base model with retrieval."
    return ledger.append(
        after=0, actor=actor, action=Action.FOUNDED, release=release, reason=reason, evidence=""
    )


def last_seen(ledger: Ledger) -> int:
    """Return the number of the last entry, 0 for an empty ledger."""
    entries = ledger.entries()
    return entries[-1].seq if entries else 0


def in_force(ledger: Ledger) -> Release:
    """Return the release that answers now. Raises NoSuchRelease when nothing was founded."""
    return _standing(ledger, _pile(ledger))


def promote(
    ledger: Ledger, release: Release, verdict: Verdict, *, actor: str, evidence: str, seen: int
) -> LedgerEntry:
    """Put an earned release in force. Repeating it while it is in force changes nothing.

    Raises NotEarned unless the verdict passes for every part that changes, or when a document that any of
    the weights saw is gone meanwhile; ConcurrentRelease when the ledger moved on since entry `seen`.
    """
    standing = in_force(ledger)
    entries = ledger.entries()
    if standing.id == release.id and entries[-1].release_id == release.id:
        return entries[-1]
    require_earned(ledger, release, verdict)
    return ledger.append(
        after=seen,
        actor=actor,
        action=Action.PROMOTED,
        release=release,
        reason=" ".join(verdict.reasons),
        evidence=evidence,
    )


def propose(ledger: Ledger, release: Release, verdict: Verdict, *, actor: str, evidence: str) -> LedgerEntry:
    """Note that a release has earned its place and waits for a person's word. Raises NotEarned."""
    require_earned(ledger, release, verdict)
    return ledger.append(
        after=last_seen(ledger),
        actor=actor,
        action=Action.PROPOSED,
        release=release,
        reason=" ".join(verdict.reasons),
        evidence=evidence,
    )


def proposed(ledger: Ledger) -> LedgerEntry | None:
    """Return the proposal that waits for a person's word; None when the ledger's last word is another."""
    entries = ledger.entries()
    return entries[-1] if entries and entries[-1].action is Action.PROPOSED else None


def require_earned(ledger: Ledger, release: Release, verdict: Verdict) -> None:
    """Raise NotEarned unless the verdict passes for every part that would change, and nothing that any of the
    weights saw is gone."""
    _check_earned(in_force(ledger), release, verdict)
    if missing := gone(ledger, release):
        raise NotEarned(f"Its curriculum saw documents that are gone or narrowed: {', '.join(missing)}.")


def flip(
    ledger: Ledger, release: Release, *, actor: str, reason: str, evidence: str, seen: int
) -> LedgerEntry:
    """Let another index generation answer. Repeating it while it answers changes nothing.

    No verdict is asked for: nothing was learnt. The evidence is a comparison of both generations. Raises
    NotEarned when more than the generation and its embedder would change, ConcurrentRelease when the ledger
    moved on since entry `seen`.
    """
    standing, entries = in_force(ledger), ledger.entries()
    if standing.id == release.id:
        return entries[-1]
    moved = replace(
        standing,
        embedder=release.embedder,
        embedder_sha256=release.embedder_sha256,
        generation=release.generation,
    )
    if moved.id != release.id:
        raise NotEarned("A flip changes the index generation, and nothing else.")
    return ledger.append(
        after=seen, actor=actor, action=Action.FLIPPED, release=release, reason=reason, evidence=evidence
    )


def flip_back(ledger: Ledger, *, actor: str, reason: str) -> LedgerEntry:
    """Undo the flip that is in force. Raises NoSuchRelease when what is in force is not a flip."""
    top = _pile(ledger)[-1]
    put = [entry for entry in ledger.entries() if entry.release_id == top.id and entry.action in ON_TOP]
    if not put or put[-1].action is not Action.FLIPPED or in_force(ledger).generation != top.generation:
        raise NoSuchRelease("The release in force was not put there by a flip.", mend="kiban rollback")
    return rollback(ledger, actor=actor, reason=reason)


def ground(ledger: Ledger) -> Release:
    """Return the topmost release whose weights for everyone learnt nothing, without any zone's: what new
    candidates are measured against. Raises NoSuchRelease when nothing was founded."""
    learnt_nothing = [release for release in _pile(ledger) if release.curriculum_sha256 is None]
    return replace(learnt_nothing[-1], zones=())


def returnable(ledger: Ledger) -> list[Release]:
    """Return every release that answers now, or that rolling back or a withdrawal may return to."""
    return _pile(ledger) if ledger.entries() else []


def rollback(ledger: Ledger, *, actor: str, reason: str) -> LedgerEntry:
    """Return to the release before the one in force. Raises NoSuchRelease at the founding release."""
    seen, release = last_seen(ledger), before(ledger)
    return ledger.append(
        after=seen, actor=actor, action=Action.ROLLED_BACK, release=release, reason=reason, evidence=""
    )


def before(ledger: Ledger) -> Release:
    """Return what rolling back would put on top. Raises NoSuchRelease at the founding release."""
    pile = _pile(ledger)
    standing = _standing(ledger, pile)
    while pile and _standing(ledger, pile) == standing:
        pile.pop()
    if not pile:
        raise NoSuchRelease("Nothing stands before the release in force.")
    return pile[-1]


def withdraw(ledger: Ledger, *, actor: str) -> LedgerEntry | None:
    """Write down a withdrawal that the documents have already caused; None when there is none.

    The release it names has been answering since the document went. Safe to repeat.
    """
    entries = ledger.entries()
    answering = [entry for entry in entries if entry.action is not Action.PROPOSED]
    if not answering:
        return None
    last, top = ledger.release(answering[-1].release_id), _pile(ledger)[-1]
    top = last if gone(ledger, last) else top  # one that is on trial goes as one in force does
    missing = gone(ledger, top)
    if not missing:
        return None
    return ledger.append(
        after=entries[-1].seq,
        actor=actor,
        action=Action.WITHDRAWN,
        release=in_force(ledger),
        reason=f"{_named(ledger, top)} of release {top.id} learnt from documents that are gone or narrowed: "
        f"{', '.join(missing)}.",
        evidence="",
    )


def history(ledger: Ledger) -> list[tuple[LedgerEntry, Release]]:
    """Return every entry with its release, oldest first."""
    return [(entry, ledger.release(entry.release_id)) for entry in ledger.entries()]


def _standing(ledger: Ledger, pile: Sequence[Release]) -> Release:
    """Return what answers when this is the pile."""
    tainted = ledger.tainted()
    for_everyone = [release for release in pile if release.curriculum_sha256 not in tainted][-1]
    top = pile[-1]
    if (top.llm, top.prompt_version) != (for_everyone.llm, for_everyone.prompt_version):
        return for_everyone.without(tainted)  # an adapter is of use on its own base model alone
    return replace(for_everyone, zones=top.without(tainted).zones)


def _pile(ledger: Ledger) -> list[Release]:
    """Return the pile as the entries left it, whatever has happened to the documents since.

    Raises NoSuchRelease when nothing was founded.
    """
    pile: list[Release] = []
    for entry in ledger.entries():
        named = ledger.release(entry.release_id)
        if entry.action in ASIDE:
            continue
        if entry.action is Action.ROLLED_BACK:
            while pile and pile[-1].id != named.id:
                pile.pop()
        elif entry.action is Action.WITHDRAWN:
            while pile and not pile[-1].curricula <= named.curricula:
                pile.pop()
        if not pile or pile[-1].id != named.id:
            pile.append(named)
    if not pile:
        raise NoSuchRelease("The ledger is empty.", mend="kiban up")
    return pile


def gone(ledger: Ledger, release: Release) -> list[str]:
    """Return the uris of what a release has learnt from and must not know any more."""
    tainted = ledger.tainted()
    return sorted({uri for curriculum in release.curricula for uri in tainted.get(curriculum, ())})


def _named(ledger: Ledger, release: Release) -> str:
    """Say which weights of a release are tainted."""
    tainted = ledger.tainted()
    for_everyone = ["Everyone's weights"] if release.curriculum_sha256 in tainted else []
    zones = [zone for zone in release.zones if zone.curriculum_sha256 in tainted]
    return " and ".join([*for_everyone, *(f"the adapter of zone {zone.audience}" for zone in zones)])


def _check_earned(standing: Release, release: Release, verdict: Verdict) -> None:
    if verdict.outcome is not Outcome.PASS:
        raise NotEarned(f"The verdict is “{verdict.outcome}”. {' '.join(verdict.reasons)}")
    if release.llm != standing.llm:
        return _check_base(standing, release, verdict)
    if release.adapter_sha256 != standing.adapter_sha256 and release.adapter:
        _check_adapter(ALL, verdict)
    for zone in release.zones:
        if standing.zone(zone.audience) != zone:
            _check_adapter(zone.audience, verdict)
    if release.embedder_sha256 != standing.embedder_sha256 and not verdict.embedder_earned:
        raise NotEarned("The embedder did not earn its place.")
    if release.reranker_sha256 not in (None, standing.reranker_sha256) and not verdict.reranker_earned:
        raise NotEarned("The reranker did not earn its place.")


def _check_base(standing: Release, release: Release, verdict: Verdict) -> None:
    """A base is judged as a release of its own, with the embedder that everything is measured against."""
    if not verdict.base_earned:
        raise NotEarned("The base model did not earn its place.")
    if verdict.champion != standing.id:
        raise NotEarned(f"It was judged against release {verdict.champion}; {standing.id} is in force now.")
    if release.adapters or release.reranker or release.curriculum_sha256:
        raise NotEarned("What was learnt on one base model does not move to another.")


def _check_adapter(zone: Audience, verdict: Verdict) -> None:
    if verdict.zone != zone:
        raise NotEarned(f"The verdict is about the zone of {verdict.zone}, not of {zone}.")
    if not verdict.adapter_earned:
        raise NotEarned("The adapter did not earn its place.")
