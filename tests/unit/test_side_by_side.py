"""What hangs or fails keeps nothing else waiting."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Event, current_thread

import pytest

from kiban.errors import PartUnavailable, SourceRefused
from kiban.wiring.side_by_side import Failures, Outcome, side_by_side


def limits(**named: float) -> Callable[[str], float]:
    return lambda name: named.get(name, 60)


def by_name(outcomes: list[Outcome[str]]) -> dict[str, Outcome[str]]:
    return {outcome.name: outcome for outcome in outcomes}


def test_all_are_done_at_the_same_time() -> None:
    together = Barrier(3, timeout=30)

    def do(name: str) -> str:
        together.wait()
        return name.upper()

    ended = by_name(list(side_by_side(do, ["a", "b", "c"], limits())))
    assert {name: outcome.result for name, outcome in ended.items()} == {"a": "A", "b": "B", "c": "C"}


def test_no_more_than_so_many_at_once() -> None:
    threads = set()

    def do(name: str) -> str:
        threads.add(current_thread())
        return name

    assert len(list(side_by_side(do, map(str, range(20)), limits(), at_once=2))) == 20
    assert len(threads) <= 2


def test_one_that_fails_ends_with_its_error_and_the_others_with_theirs() -> None:
    def do(name: str) -> str:
        if name == "b":
            raise SourceRefused(name)
        return name

    ended = by_name(list(side_by_side(do, ["a", "b", "c"], limits(), at_once=1)))
    assert isinstance(ended["b"].error, SourceRefused)
    assert (ended["a"].error, ended["a"].result, ended["c"].result) == (None, "a", "c")


def test_one_that_hangs_is_given_up_and_its_place_taken() -> None:
    let_go, done = Event(), []

    def do(name: str) -> str:
        if name == "hangs":
            let_go.wait()
        done.append(name)
        return name

    outcomes = list(side_by_side(do, ["hangs", "a", "b"], limits(hangs=0.05), at_once=1))
    assert done == ["a", "b"]
    assert [outcome.name for outcome in outcomes] == ["hangs", "a", "b"]
    assert isinstance(outcomes[0].error, PartUnavailable)
    assert "hangs was not done within 0.05 s" in str(outcomes[0].error)
    let_go.set()


def test_what_comes_too_late_is_not_told_twice() -> None:
    let_go, came_back = Event(), Event()

    def do(name: str) -> str:
        if name == "late":
            let_go.wait()
            came_back.set()
        return name

    outcomes = side_by_side(do, ["late", "a"], limits(late=0.05), at_once=1)
    first = next(outcomes)
    let_go.set()
    assert came_back.wait(30)
    assert [first.name, *(outcome.name for outcome in outcomes)] == ["late", "a"]


def test_failures_are_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    failures.tell()
    for name in ("one", "two"):
        with failures.gathered():
            raise PartUnavailable(name)
    with pytest.raises(PartUnavailable, match="one"):
        failures.tell()
    assert "two" in caplog.text and "one" not in caplog.text
