from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

from kiban.backends.fleet import Fleet

URLS = ("http://a", "http://b", "http://c")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nobodys_questions_go_round() -> None:
    fleet = Fleet(URLS)
    assert Counter(fleet.order()[0] for _ in range(30)) == dict.fromkeys(URLS, 10)


def test_the_least_loaded_is_asked_first() -> None:
    fleet = Fleet(URLS)
    with fleet.at_work("http://a"), fleet.at_work("http://a"), fleet.at_work("http://c"):
        assert {tuple(fleet.order()) for _ in range(5)} == {("http://b", "http://c", "http://a")}
    assert {fleet.order()[0] for _ in range(3)} == set(URLS)  # all are free again


def test_an_asker_stays_with_one_server_and_askers_are_spread() -> None:
    fleet = Fleet(URLS)
    first = {asker: fleet.order(asker)[0] for asker in map(str, range(300))}
    assert all(fleet.order(asker)[0] == url for asker, url in first.items())
    assert min(Counter(first.values()).values()) > 60


def test_an_asker_leaves_a_server_that_has_much_more_to_do_than_others() -> None:
    fleet = Fleet(URLS)
    own, *_ = fleet.order("sato")
    with ExitStack() as busy:
        for url in URLS:
            busy.enter_context(fleet.at_work(url))
        busy.enter_context(fleet.at_work(own))
        assert fleet.order("sato")[0] == own  # it has 2 of 4
        busy.enter_context(fleet.at_work(own))
        assert (
            fleet.order("sato")[0] != own
        )  # it has 3 of 5; with the next question 2.5 are 1.25 times the mean
    assert fleet.order("sato")[0] == own


def test_a_thousand_questions_at_once_of_one_asker_are_shared() -> None:
    fleet = Fleet(URLS)
    with ExitStack() as busy:
        taken = []
        for _ in range(1000):
            taken.append(fleet.order("sato")[0])
            busy.enter_context(fleet.at_work(taken[-1]))
    assert max(Counter(taken).values()) <= 1.25 * 1000 / 3 + 1


def test_when_a_server_goes_only_its_askers_move_and_they_return() -> None:
    fleet = Fleet(URLS)
    askers = list(map(str, range(100)))
    before = {asker: fleet.order(asker)[0] for asker in askers}
    fleet.fails("http://b")
    during = {asker: fleet.order(asker) for asker in askers}
    assert all(order[-1] == "http://b" for order in during.values())  # and still asked, when no other answers
    assert all(during[asker][0] == url for asker, url in before.items() if url != "http://b")
    fleet.answers("http://b")
    assert {asker: fleet.order(asker)[0] for asker in askers} == before


def test_a_server_that_fails_again_is_left_alone_for_longer() -> None:
    clock = Clock()
    fleet = Fleet(URLS, clock=clock)
    waits = []
    for _ in range(8):
        fleet.fails("http://a")
        assert fleet.to_look_at() == []
        began = clock.now
        while not fleet.to_look_at():
            clock.now += 1
        waits.append(clock.now - began)
    assert waits == [5, 10, 20, 40, 80, 160, 160, 160]
    fleet.answers("http://a")
    assert fleet.to_look_at() == []
    fleet.fails("http://a")
    clock.now += 5
    assert fleet.to_look_at() == ["http://a"]


def test_one_looks_at_a_time() -> None:
    clock = Clock()
    fleet = Fleet(URLS, clock=clock)
    fleet.fails("http://a")
    clock.now += 5
    with fleet.look("http://a"):
        assert fleet.to_look_at() == []
    assert fleet.to_look_at() == ["http://a"]
