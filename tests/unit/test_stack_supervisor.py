from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kiban.errors import PartUnavailable
from kiban.stack import supervisor
from kiban.stack.health import Health
from kiban.stack.supervisor import Part, State


@dataclass
class Journal:
    """What happened, in order."""

    lines: list[str] = field(default_factory=list)

    def watch(self, part: Part, state: State) -> None:
        self.lines.append(f"{part.name} {state}")


@dataclass
class Puppet:
    """A runner that is ready `slow` questions after its start, or dies instead."""

    slow: int = 0
    dies: bool = False
    alive: bool = False
    asked: int = 0
    stopped: int = 0
    log: Path = Path("puppet.log")

    def start(self) -> None:
        self.alive = not self.dies

    def stop(self, grace: float) -> None:
        self.alive, self.stopped = False, self.stopped + 1

    def pid(self) -> int | None:
        return 1 if self.alive else None

    def memory(self) -> int:
        return 7

    def last_words(self) -> str:
        return "out of paper"

    def probe(self) -> Health:
        self.asked += 1
        return Health(self.alive and self.asked > self.slow, "1.0")


def part(name: str, puppet: Puppet, *needs: str, patience: float = 10) -> Part:
    return Part(name, f"http://{name}", puppet.probe, puppet, frozenset(needs), patience)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "POLL", 0.001)


def test_a_part_starts_when_what_it_needs_is_ready_and_not_before() -> None:
    journal = Journal()
    supervisor.up(
        [
            part("chat", Puppet(), "postgres", "vllm"),
            part("vllm", Puppet(slow=3)),
            part("postgres", Puppet()),
        ],
        journal.watch,
    )
    assert journal.lines.index("chat starting") > journal.lines.index("vllm ready")
    assert journal.lines.index("vllm starting") < journal.lines.index("postgres ready")


def test_what_a_part_prepares_is_done_before_the_next_one_starts() -> None:
    journal = Journal()
    supervisor.up(
        [part("postgres", Puppet()), part("chat", Puppet(), "postgres")],
        journal.watch,
        {"postgres": lambda: journal.lines.append("schema")},
    )
    assert journal.lines.index("schema") < journal.lines.index("chat starting")


def test_what_runs_already_is_found_and_left_alone() -> None:
    journal = Journal()
    supervisor.up([part("vllm", Puppet(alive=True))], journal.watch)
    assert journal.lines == ["vllm found", "vllm ready"]


def test_what_runs_with_other_settings_is_started_anew() -> None:
    running, journal = Puppet(alive=True), Journal()
    chat = replace(part("chat", running), outdated=lambda: running.stopped == 0)
    supervisor.up([chat], journal.watch)
    assert journal.lines == ["chat starting", "chat ready"]
    assert running.stopped == 1 and chat.stands


def test_a_part_that_dies_is_named_with_its_last_words_and_its_log() -> None:
    with pytest.raises(PartUnavailable, match=r"vllm ended[\s\S]*out of paper[\s\S]*puppet\.log"):
        supervisor.up([part("vllm", Puppet(dies=True))], Journal().watch)


def test_a_part_that_is_never_ready_is_given_up() -> None:
    with pytest.raises(PartUnavailable, match="not ready within 0 s"):
        supervisor.up([part("vllm", Puppet(slow=1000), patience=0.01)], Journal().watch)


def test_a_part_of_somebody_else_is_not_waited_for() -> None:
    absent = Part("mlflow", "http://elsewhere", lambda: Health(False, detail="does not answer"))
    with pytest.raises(PartUnavailable, match="mlflow at http://elsewhere: does not answer"):
        supervisor.up([absent], Journal().watch)


def test_parts_stop_after_those_that_need_them_and_only_ours_stop() -> None:
    journal = Journal()
    foreign = Part("mlflow", "http://elsewhere", lambda: Health(True))
    everything = [
        part("postgres", Puppet(alive=True)),
        foreign,
        part("prefect", Puppet(alive=True), "postgres"),
        part("flows", Puppet(alive=True), "prefect", "mlflow"),
    ]
    supervisor.down(everything, journal.watch)
    stops = [line for line in journal.lines if "stopped" in line]
    assert stops == ["flows stopped", "prefect stopped", "postgres stopped"]


def test_an_answer_from_a_process_that_is_not_ours_is_not_health() -> None:
    impostor = Part("prefect", "http://here", lambda: Health(True, "9.9"), Puppet())
    (status,) = supervisor.survey([impostor])
    assert not status.ok
    assert "not ours" in status.detail
