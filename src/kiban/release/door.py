"""The registry's page as a door for people: what they moved there is a wish, and the ledger decides.

The ledger is polled against, never told by the registry. An alias has no history and no author, so the only
way to know that a person moved `champion` is to remember where we put it ourselves, and after which entry of
the ledger: another place means a person, an older entry means that we are behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kiban.domain.evidence import Outcome, Verdict
from kiban.domain.release import Shelf, ShelvedVersion

CHAMPION, CHALLENGER = "champion", "challenger"


class Wanted(StrEnum):
    JUDGED = "judged"  # somebody called a version the challenger
    RELEASED = "released"  # somebody made a version the champion by hand
    RESTORED = "restored"  # somebody deleted the version that answers
    FOLLOWED = "followed"  # nobody: the alias is behind the ledger, or was taken away


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing to do so that registry and ledger agree again."""

    wanted: Wanted
    name: str  # of the model
    version: ShelvedVersion | None  # the one it is about; None when it is gone


def wishes(shelf: Shelf, answering: str | None, seq: int) -> Iterator[Wish]:
    """Yield what people want of one model. `answering` is the hash of its weights in force, None for none;
    `seq` the last entry of the ledger."""
    right, pointed = shelf.holding(answering), shelf.under(CHAMPION)
    challenger = shelf.under(CHALLENGER)
    if answering is not None and right is None:
        yield Wish(Wanted.RESTORED, shelf.name, None)
    elif pointed != right:
        moved = shelf.champion_seq == seq and pointed is not None and pointed.number != shelf.champion
        yield Wish(Wanted.RELEASED if moved else Wanted.FOLLOWED, shelf.name, pointed if moved else right)
    elif shelf.versions and (shelf.champion, shelf.champion_seq) != (right.number if right else None, seq):
        yield Wish(Wanted.FOLLOWED, shelf.name, right)
    if challenger is not None and not challenger.told:
        yield Wish(Wanted.JUDGED, shelf.name, challenger)


def answer(verdict: Verdict, *, released: bool) -> str:
    """Return what is written on a version for the person who asked, at most 500 characters."""
    outcome = "released" if released else f"not released: the verdict is “{verdict.outcome}”"
    if not released and verdict.outcome is Outcome.PASS:
        outcome = "passed, and not released yet: give it the alias champion, or run kiban promote"
    return _short([f"{outcome}.", *verdict.reasons])


def refusal(reason: str) -> str:
    """Return what is written on a version that was not even judged, or could not be released."""
    return _short(["not released:", reason])


def _short(sentences: Sequence[str]) -> str:
    told = " ".join(sentences)
    return told if len(told) <= 500 else f"{told[:499]}…"
