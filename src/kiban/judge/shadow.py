"""Past questions, answered by two releases beside each other: is the new one worse by far?

Nobody has seen these answers, so nobody can have disliked them; what can be counted without a reader is.
Each question is answered by both releases, so the comparison is paired, and people are drawn, not questions,
for questions of one person are alike. It is made once, so each guard errs at most once in twenty replays, and
only on a release that is worse by the whole margin already.

A replay ends a roll-out or does not. It never speeds one up: it knows neither what people thought of an
answer nor how the new release does while many ask at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from kiban.domain.evidence import Comparison, Outcome
from kiban.judge.statistics import Pairs, compare_guard

FEWEST = 10  # questions; fewer tell nothing
FEWEST_PEOPLE = 2  # one alone may ask what nobody else does
SLOWER = 3.0  # times the old release's median is slow


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be counted of one answer."""

    failed: bool
    abstained: bool  # although something was found
    refused: bool  # it held a quotation that was not verbatim
    citations: int
    characters: int
    seconds: float

    @property
    def uncited(self) -> bool:
        """Tell whether it says something and proves nothing of it."""
        return not (self.failed or self.abstained or self.citations)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One question, as both releases answered it."""

    person: str  # a pseudonym
    old: Seen
    new: Seen


Count = Callable[[Seen], bool]
MARGINS: Mapping[str, float] = {  # how much larger a share may be; those of the trial, where it has them
    "failed": 0.05,
    "abstained": 0.15,
    "refused": 0.15,
    "uncited": 0.15,
    "slow": 0.15,
}


def guards(replayed: Sequence[Replayed]) -> tuple[Comparison, ...]:
    """Compare both releases; shares are given negated, since more of any is worse."""
    if not replayed:
        return ()
    usual = median(each.old.seconds for each in replayed)
    counts: Mapping[str, Count] = {
        "failed": lambda seen: seen.failed,
        "abstained": lambda seen: seen.abstained,
        "refused": lambda seen: seen.refused,
        "uncited": lambda seen: seen.uncited,
        "slow": lambda seen: seen.seconds > SLOWER * usual,
    }
    numbers = {person: number for number, person in enumerate(sorted({each.person for each in replayed}))}
    people = [numbers[each.person] for each in replayed]
    return tuple(
        compare_guard(
            name,
            Pairs(
                [-float(counts[name](each.old)) for each in replayed],
                [-float(counts[name](each.new)) for each in replayed],
                people,
            ),
            margin,
        )
        for name, margin in MARGINS.items()
    )


def outcome(replayed: Sequence[Replayed], found: Sequence[Comparison]) -> Outcome:
    """Return FAIL if a guard is broken, CANNOT_TELL of too few questions or people, else PASS."""
    if _too_few(replayed):
        return Outcome.CANNOT_TELL
    return Outcome.FAIL if any(guard.outcome is Outcome.FAIL for guard in found) else Outcome.PASS


def all_failed(replayed: Sequence[Replayed]) -> bool:
    """Tell whether the old release answered nothing either: then the servers are ill, not the new release."""
    return bool(replayed) and all(each.old.failed for each in replayed)


def told(replayed: Sequence[Replayed], found: Sequence[Comparison]) -> str:
    """Say it in numbers, for the ledger: the broken guards, or all of them."""
    people = len({each.person for each in replayed})
    if _too_few(replayed):
        return f"{len(replayed)} past questions of {people} people could be replayed: too few to tell."
    shown = [guard for guard in found if guard.outcome is Outcome.FAIL] or found
    shares = ", ".join(
        f"{guard.measure} {abs(guard.old):.1%} → {abs(guard.new):.1%} (at most +{guard.margin:.0%})"
        for guard in shown
    )
    means = "; ".join(
        (
            _mean("citations an answer", [(each.old.citations, each.new.citations) for each in replayed]),
            _mean("characters", [(each.old.characters, each.new.characters) for each in replayed]),
            _mean("seconds", [(each.old.seconds, each.new.seconds) for each in replayed]),
        )
    )
    return f"{len(replayed)} past questions of {people} people replayed: {shares}; {means}."


def _too_few(replayed: Sequence[Replayed]) -> bool:
    return len(replayed) < FEWEST or len({each.person for each in replayed}) < FEWEST_PEOPLE


def _mean(what: str, pairs: Sequence[tuple[float, float]]) -> str:
    return f"{what} {fmean(old for old, _ in pairs):.3g} → {fmean(new for _, new in pairs):.3g}"
