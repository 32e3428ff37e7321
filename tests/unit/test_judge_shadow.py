"""Two releases beside each other on past questions: what ends a roll-out, and what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kiban.domain.evidence import Outcome
from kiban.judge import shadow
from kiban.judge.shadow import Replayed, Seen

WELL = Seen(failed=False, abstained=False, refused=False, citations=2, characters=90, seconds=1.0)
FAILED = replace(WELL, failed=True, citations=0, characters=0)


def replayed(count: int, *bad: Seen, people: int = 20) -> list[Replayed]:
    """Return questions that the old release answered well, and the new one, but for the first, too."""
    new = [*bad, *[WELL] * (count - len(bad))]
    return [Replayed(f"person{number % people}", WELL, seen) for number, seen in enumerate(new)]


def outcome(pairs: list[Replayed]) -> Outcome:
    return shadow.outcome(pairs, shadow.guards(pairs))


def test_equals_pass_with_all_their_numbers() -> None:
    pairs = replayed(40)
    assert outcome(pairs) is Outcome.PASS
    said = shadow.told(pairs, shadow.guards(pairs))
    assert said.startswith("40 past questions of 20 people replayed: failed 0.0% → 0.0% (at most +5%), abst")
    assert said.endswith("citations an answer 2 → 2; characters 90 → 90; seconds 1 → 1.")


def test_each_guard_breaks_by_itself_and_is_named_alone() -> None:
    broken = {
        "failed": FAILED,
        "abstained": replace(WELL, abstained=True, citations=0),
        "refused": replace(WELL, refused=True),
        "uncited": replace(WELL, citations=0),
        "slow": replace(WELL, seconds=3.5),
    }
    assert broken.keys() == shadow.MARGINS.keys()
    for name, seen in broken.items():
        pairs = replayed(40, *[seen] * 24)
        found = shadow.guards(pairs)
        assert {guard.measure for guard in found if guard.outcome is Outcome.FAIL} == {name}
        assert outcome(pairs) is Outcome.FAIL
        assert f": {name} 0.0% → 60.0%" in shadow.told(pairs, found)


def test_a_failure_or_two_end_nothing() -> None:
    assert outcome(replayed(40, FAILED)) is Outcome.PASS
    assert outcome(replayed(40, FAILED, FAILED)) is Outcome.PASS


def test_too_few_tell_nothing_however_bad() -> None:
    pairs = replayed(9, *[FAILED] * 9)
    assert outcome(pairs) is Outcome.CANNOT_TELL
    said = shadow.told(pairs, shadow.guards(pairs))
    assert said == "9 past questions of 9 people could be replayed: too few to tell."
    assert outcome([]) is Outcome.CANNOT_TELL and shadow.guards([]) == ()


def test_one_person_alone_ends_nothing_and_two_do() -> None:
    assert outcome(replayed(20, *[FAILED] * 20, people=1)) is Outcome.CANNOT_TELL
    assert outcome(replayed(20, *[FAILED] * 20, people=2)) is Outcome.FAIL


def test_what_fails_with_both_says_nothing_about_the_new_one() -> None:
    both = [Replayed(f"person{number}", FAILED, FAILED) for number in range(20)]
    assert outcome(both) is Outcome.PASS
    assert shadow.all_failed(both) and not shadow.all_failed(replayed(20)) and not shadow.all_failed([])


def test_releases_that_are_alike_seldom_end_by_chance() -> None:
    rng, ended = np.random.default_rng(5), 0
    for _ in range(100):
        failed = rng.uniform(size=(2, 40)) < 0.1
        ended += (
            outcome(
                [
                    Replayed(f"person{n % 12}", FAILED if old else WELL, FAILED if new else WELL)
                    for n, (old, new) in enumerate(failed.T)
                ]
            )
            is Outcome.FAIL
        )
    assert ended <= 5
