"""A release on trial, on real Postgres: drawn, counted from the record of answers, widened, ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.feedback import PostgresFeedback
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.postgres.records import PostgresRecords
from kiban.backends.pseudonyms import Pseudonyms
from kiban.domain.access import Principal
from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.feedback import Feedback, Rating
from kiban.domain.record import Answered, Ending, Shown
from kiban.domain.release import Action, LedgerEntry, Release
from kiban.release import canary
from kiban.release import ledger as pile
from kiban.settings import Settings
from kiban.wiring.answers import Answers
from kiban.wiring.canary import Canary
from kiban.wiring.furniture import Furniture
from kiban.wiring.records import Records
from kiban.wiring.releases import Releases
from kiban.wiring.shadow import Shadow

BASE = Release("qwen@1", None, None, None, "e5", "e" * 64, 1, "p1", None)
NEW = replace(BASE, adapter="new", adapter_path="/shelf/new", adapter_sha256="n" * 64)
PASSED = Verdict(Outcome.PASS, ("Better.",), Evaluation("c", {}, (), 0, 0, 0.0), adapter_earned=True)
PEOPLE = [Principal(f"person{number:03}", frozenset({f"group{number % 7}"})) for number in range(60)]
NEEDED = 40  # answers a step


class StagedReleases(Releases):
    base = BASE  # type: ignore[assignment]

    def mirror(self) -> None:
        """There is no registry here."""


class Town:
    """Sixty people who ask, and a release on trial."""

    def __init__(self, postgres: Postgres, folder: Path) -> None:
        self.furniture = Furniture(Settings(state=folder, canary=(20, 50), canary_answers=NEEDED))
        shelves: dict[str, Any] = {
            "postgres": postgres,
            "ledger": PostgresLedger(postgres),
            "records": PostgresRecords(postgres),
            "feedback": PostgresFeedback(postgres),
            "pseudonyms": Pseudonyms(folder),
        }
        self.furniture.__dict__.update(shelves)
        self.ledger = self.furniture.ledger
        self.releases = StagedReleases(self.furniture)
        answers = Answers(self.furniture, self.releases, Records(self.furniture))
        self.canary = Canary(self.furniture, self.releases, Shadow(self.furniture, answers))
        pile.found(self.ledger, BASE, "stage")
        canary.begin(self.ledger, NEW, PASSED, share=20, actor="stage", evidence="report", seen=1)

    def tried(self) -> list[Principal]:
        """Return the people whom the release on trial answers."""
        return [who for who in PEOPLE if self.releases.answering(who) == NEW]

    def answer(self, rounds: int, *, failing: bool = False) -> None:
        """Let everybody ask so many times; `failing`: the release on trial answers nobody."""
        for who, release in [(who, self.releases.answering(who)) for who in PEOPLE] * rounds:
            ending = Ending.FAILED if failing and release == NEW else Ending.ANSWERED
            asker = self.furniture.pseudonyms.of("asker", who.subject)
            shown = (Shown(1, 1, 1),)
            self.furniture.records.keep(Answered(asker, "q" * 32, release.id, shown, 1, 0, ending, 900))

    def step(self) -> LedgerEntry | None:
        return self.canary.step(actor="tend flow")


@pytest.fixture
def town(postgres: Postgres, tmp_path: Path) -> Town:
    return Town(postgres, tmp_path)


def test_who_is_drawn_depends_on_oneself_alone(town: Town) -> None:
    drawn = town.tried()
    assert 3 <= len(drawn) <= 26  # 12 expected
    regrouped = [replace(who, groups=frozenset({"hr", "board"})) for who in drawn]
    assert all(town.releases.answering(who) == NEW for who in regrouped)
    canary.widen(town.ledger, 50, actor="stage", reason="held")
    assert set(drawn) < set(town.tried())


def test_another_house_draws_other_people(town: Town, tmp_path: Path) -> None:
    canary.widen(town.ledger, 50, actor="stage", reason="held")
    before = town.tried()
    (tmp_path / "other").mkdir()
    town.furniture.__dict__["pseudonyms"] = Pseudonyms(tmp_path / "other")
    assert town.tried() != before


def test_a_release_that_holds_is_widened_step_by_step_and_then_answers_everyone(town: Town) -> None:
    assert town.step() is None  # nobody has asked yet
    taken = []
    for _ in range(8):
        town.answer(6)
        if entry := town.step():
            taken.append((entry.action, entry.share))
        if pile.in_force(town.ledger) == NEW:
            break
    assert taken == [(Action.TRIED, 50), (Action.PROMOTED, 100)]
    assert town.ledger.verify() is None
    assert "answers to" in town.ledger.entries()[-1].reason
    assert town.step() is None


def test_a_release_that_fails_people_is_taken_back_by_itself(town: Town) -> None:
    town.answer(2, failing=True)
    entry = town.step()
    assert entry is not None
    assert (entry.action, entry.release_id) == (Action.ROLLED_BACK, BASE.id)
    assert "failed 0.0% → 100.0%" in entry.reason
    assert town.tried() == []


def test_thumbs_down_count_against_the_release_that_earned_them(town: Town) -> None:
    town.answer(4)
    for who in town.tried():
        for _ in range(4):
            town.furniture.feedback.keep(
                Feedback(0, datetime.now(UTC), who.subject, Rating.DOWN, "問い", "答え", NEW.id)
            )
    entry = town.step()
    assert entry is not None and entry.action is Action.ROLLED_BACK
    assert "disliked 0.0% → 100.0%" in entry.reason


def test_without_steps_in_the_settings_nobody_is_drawn(town: Town) -> None:
    town.furniture.settings = Settings(state=town.furniture.settings.state)
    assert town.tried() == []
    assert town.step() is None
