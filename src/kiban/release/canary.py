"""A release on trial: it answers some people before it answers all.

Whom it answers is drawn by each person's own name and the release, keyed with a secret of the house: always
the same for the same person, so that nobody is answered now by one release and then by the other, and nobody
can choose. What one person may read, asks or does has no part in whom others are answered by.

It may begin unseen: at 0 per cent it answers nobody, and past questions are replayed on it.

A trial is the ledger's last word, proposals aside: whatever else is written ends it. It is begun by the same
evidence as a promotion, and ended by one, by a return to the release in force, or by a withdrawal, for a
release whose documents are gone answers nobody from that moment on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kiban.domain.evidence import Verdict
from kiban.domain.release import Action, LedgerEntry, Release
from kiban.errors import NoSuchRelease
from kiban.ports import Ledger
from kiban.release import ledger as pile

UNSEEN = 0  # per cent: past questions are replayed, and nobody is shown the answers
Draw = Callable[[Release], float]  # where a person stands for a release: 0 or more, less than 100


@dataclass(frozen=True, slots=True)
class Trial:
    """What is on trial, and the steps it has gone: since when it answers how many per cent of people."""

    release: Release
    steps: tuple[tuple[datetime, int], ...]
    evidence: str

    @property
    def share(self) -> int:
        return self.steps[-1][1]

    def share_at(self, moment: datetime) -> int:
        """Return how many per cent of people it answered at a moment; 0 before it began."""
        return max((share for since, share in self.steps if since <= moment), default=0)


def on_trial(ledger: Ledger) -> Trial | None:
    """Return the release on trial; None when there is none, or when it must not answer any more."""
    entries = [entry for entry in ledger.entries() if entry.action is not Action.PROPOSED]
    steps = list[LedgerEntry]()
    for entry in reversed(entries):
        if entry.action is not Action.TRIED or (steps and entry.release_id != steps[0].release_id):
            break
        steps.append(entry)
    if not steps:
        return None
    release = ledger.release(steps[0].release_id)
    if pile.gone(ledger, release):
        return None
    taken = tuple((entry.at, entry.share) for entry in reversed(steps))
    return Trial(release, taken, steps[-1].evidence)


def answers(ledger: Ledger, draw: Draw) -> Release:
    """Return the release that answers the person whom `draw` places. Raises NoSuchRelease."""
    trial = on_trial(ledger)
    return trial.release if trial and draw(trial.release) < trial.share else pile.in_force(ledger)


def begin(
    ledger: Ledger, release: Release, verdict: Verdict, *, share: int, actor: str, evidence: str, seen: int
) -> LedgerEntry:
    """Let an earned release answer `share` per cent of people. Raises what `promote` raises."""
    pile.require_earned(ledger, release, verdict)
    return ledger.append(
        after=seen,
        actor=actor,
        action=Action.TRIED,
        release=release,
        reason=" ".join(verdict.reasons),
        evidence=evidence,
        share=share,
    )


def widen(ledger: Ledger, share: int, *, actor: str, reason: str) -> LedgerEntry:
    """Let the release on trial answer more people. Raises NoSuchRelease when nothing is on trial."""
    seen, trial = pile.last_seen(ledger), _require(ledger)
    return ledger.append(
        after=seen,
        actor=actor,
        action=Action.TRIED,
        release=trial.release,
        reason=reason,
        evidence=trial.evidence,
        share=share,
    )


def complete(ledger: Ledger, *, actor: str, reason: str) -> LedgerEntry:
    """Put the release on trial in force. Raises NoSuchRelease when nothing is on trial."""
    seen, trial = pile.last_seen(ledger), _require(ledger)
    return ledger.append(
        after=seen,
        actor=actor,
        action=Action.PROMOTED,
        release=trial.release,
        reason=reason,
        evidence=trial.evidence,
    )


def stop(ledger: Ledger, *, actor: str, reason: str) -> LedgerEntry:
    """Return everyone to the release in force. Raises NoSuchRelease when nothing is on trial."""
    seen, _ = pile.last_seen(ledger), _require(ledger)
    top = pile.returnable(ledger)[-1]
    return ledger.append(
        after=seen, actor=actor, action=Action.ROLLED_BACK, release=top, reason=reason, evidence=""
    )


def _require(ledger: Ledger) -> Trial:
    trial = on_trial(ledger)
    if trial is None:
        raise NoSuchRelease("No release is on trial.", mend="kiban history")
    return trial
