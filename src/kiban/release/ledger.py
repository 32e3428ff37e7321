"""Which release answers: read from the ledger on every call, so that a deletion withdraws weights at once.

The ledger is read as a pile. Founding, promoting and flipping put a release on top; rolling back
and withdrawing take releases off until the one they name is on top. In force is the topmost
release whose curriculum is not tainted now. A release that somebody rolled back from, or that was withdrawn,
is never returned to.

Whoever changes the ledger says which entry they saw last (`seen`). Of two people who saw the same one, the
first wins and the second gets ConcurrentRelease.
"""

from __future__ import annotations

from dataclasses import replace

from kiban.domain.evidence import Outcome, Verdict
from kiban.domain.release import Action, LedgerEntry, Release
from kiban.errors import NoSuchRelease, NotEarned
from kiban.ports import Ledger

ON_TOP = (Action.FOUNDED, Action.PROMOTED, Action.FLIPPED)


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
    return _standing(ledger)[-1]


def promote(
    ledger: Ledger, release: Release, verdict: Verdict, *, actor: str, evidence: str, seen: int
) -> LedgerEntry:
    """Put an earned release in force. Repeating it while it is in force changes nothing.

    Raises NotEarned unless the verdict passes for every part that changes, or when a document the weights
    saw is gone meanwhile; ConcurrentRelease when the ledger moved on since entry `seen`.
    """
    standing = in_force(ledger)
    entries = ledger.entries()
    if standing.id == release.id and entries[-1].release_id == release.id:
        return entries[-1]
    _check_earned(standing, release, verdict)
    if gone := ledger.tainted().get(release.curriculum_sha256 or ""):
        raise NotEarned(f"Its curriculum saw documents that are gone or narrowed: {', '.join(gone)}.")
    return ledger.append(
        after=seen,
        actor=actor,
        action=Action.PROMOTED,
        release=release,
        reason=" ".join(verdict.reasons),
        evidence=evidence,
    )


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
    standing = in_force(ledger)
    put = [e for e in ledger.entries() if e.release_id == standing.id and e.action in ON_TOP]
    if put[-1].action is not Action.FLIPPED:
        raise NoSuchRelease("The release in force was not put there by a flip.", mend="kiban rollback")
    return rollback(ledger, actor=actor, reason=reason)


def ground(ledger: Ledger) -> Release:
    """Return the topmost standing release that learnt nothing: what new candidates are measured against.

    Raises NoSuchRelease when nothing was founded.
    """
    return [release for release in _standing(ledger) if release.curriculum_sha256 is None][-1]


def returnable(ledger: Ledger) -> list[Release]:
    """Return every release that answers now, or that rolling back or a withdrawal may return to."""
    return [ledger.release(release_id) for release_id in _pile(ledger.entries())]


def rollback(ledger: Ledger, *, actor: str, reason: str) -> LedgerEntry:
    """Return to the release before the one in force. Raises NoSuchRelease at the founding release."""
    seen = last_seen(ledger)
    standing = _standing(ledger)
    if len(standing) < 2:
        raise NoSuchRelease("Nothing stands before the release in force.")
    return ledger.append(
        after=seen,
        actor=actor,
        action=Action.ROLLED_BACK,
        release=standing[-2],
        reason=reason,
        evidence="",
    )


def withdraw(ledger: Ledger, *, actor: str) -> LedgerEntry | None:
    """Write down a withdrawal that the documents have already caused; None when there is none.

    The release it names has been answering since the document went. Safe to repeat.
    """
    entries, tainted = ledger.entries(), ledger.tainted()
    if not entries:
        return None
    top = ledger.release(entries[-1].release_id)
    gone = tainted.get(top.curriculum_sha256 or "")
    if not gone:
        return None
    return ledger.append(
        after=entries[-1].seq,
        actor=actor,
        action=Action.WITHDRAWN,
        release=in_force(ledger),
        reason=f"Release {top.id} learnt from documents that are gone or narrowed: {', '.join(gone)}.",
        evidence="",
    )


def history(ledger: Ledger) -> list[tuple[LedgerEntry, Release]]:
    """Return every entry with its release, oldest first."""
    return [(entry, ledger.release(entry.release_id)) for entry in ledger.entries()]


def _standing(ledger: Ledger) -> list[Release]:
    """Return the releases that stand and are not tainted, the one in force last."""
    tainted = ledger.tainted()
    pile = [ledger.release(release_id) for release_id in _pile(ledger.entries())]
    standing = [release for release in pile if release.curriculum_sha256 not in tainted]
    if not standing:
        raise NoSuchRelease("The ledger is empty.", mend="kiban up")
    return standing


def _pile(entries: list[LedgerEntry]) -> list[str]:
    pile: list[str] = []
    for entry in entries:
        if entry.action in ON_TOP:
            pile.append(entry.release_id)
            continue
        while pile and pile[-1] != entry.release_id:
            pile.pop()
    return pile


def _check_earned(standing: Release, release: Release, verdict: Verdict) -> None:
    if verdict.outcome is not Outcome.PASS:
        raise NotEarned(f"The verdict is “{verdict.outcome}”. {' '.join(verdict.reasons)}")
    if release.adapter_sha256 != standing.adapter_sha256 and release.adapter and not verdict.adapter_earned:
        raise NotEarned("The adapter did not earn its place.")
    if release.embedder_sha256 != standing.embedder_sha256 and not verdict.embedder_earned:
        raise NotEarned("The embedder did not earn its place.")
    if release.reranker_sha256 not in (None, standing.reranker_sha256) and not verdict.reranker_earned:
        raise NotEarned("The reranker did not earn its place.")
