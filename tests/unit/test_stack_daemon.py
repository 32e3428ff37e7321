from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kiban.errors import PartRefused
from kiban.stack.daemon import Daemon

SLEEPER = "import time; print('awake', flush=True); time.sleep(60)"
DEAF_PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("awake", flush=True)
time.sleep(60)
"""


def daemon(folder: Path, code: str, port: int | None = None, **given: str) -> Daemon:
    return Daemon(
        name="sleeper",
        command=(sys.executable, "-c", code),
        environment=lambda: given,
        folder=folder,
        log=folder / "sleeper.log",
        port=port,
        port_field="sleeper_port",
    )


def started(sleeper: Daemon) -> psutil.Process:
    sleeper.start()
    deadline = time.monotonic() + 10
    while "awake" not in sleeper.last_words().splitlines() and time.monotonic() < deadline:
        time.sleep(0.02)
    process = sleeper.process()
    assert process is not None
    return process


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Daemon]:
    made = daemon(tmp_path, SLEEPER)
    yield made
    made.stop(grace=0)


def test_a_daemon_is_outdated_once_it_would_be_given_something_else(sleeper: Daemon, tmp_path: Path) -> None:
    assert not sleeper.outdated(), "it does not run"
    started(sleeper)
    assert not daemon(tmp_path, SLEEPER).outdated()
    assert daemon(tmp_path, SLEEPER, KIBAN_OTHER_LLM="small").outdated()


def test_a_daemon_is_replaced_once_another_command_would_be_started(sleeper: Daemon, tmp_path: Path) -> None:
    assert not sleeper.replaced(), "it does not run"
    started(sleeper)
    assert not daemon(tmp_path, SLEEPER).replaced()
    assert not daemon(tmp_path, SLEEPER, KIBAN_LLM="small").replaced()
    assert daemon(tmp_path, f"{SLEEPER} # with another model").replaced()


def test_a_daemon_is_known_again_by_whoever_asks_later(sleeper: Daemon, tmp_path: Path) -> None:
    process = started(sleeper)
    assert daemon(tmp_path, SLEEPER).pid() == process.pid
    assert sleeper.memory() > 1 << 20


def test_a_stopped_daemon_is_gone(sleeper: Daemon) -> None:
    process = started(sleeper)
    sleeper.stop(grace=5)
    assert not process.is_running()
    assert sleeper.pid() is None


def test_a_daemon_that_ignores_the_request_is_ended_with_its_children(tmp_path: Path) -> None:
    deaf = daemon(tmp_path, DEAF_PARENT)
    family = [started(deaf), *started_children(deaf)]
    deaf.stop(grace=0.1)
    assert len(family) == 2
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)


def started_children(deaf: Daemon) -> list[psutil.Process]:
    process = deaf.process()
    return process.children(recursive=True) if process else []


def test_a_process_that_only_got_the_number_is_not_ours_and_is_not_killed(
    sleeper: Daemon, tmp_path: Path
) -> None:
    process = started(sleeper)
    record = tmp_path / "sleeper.json"
    known = json.loads(record.read_text())
    record.write_text(json.dumps(known | {"born": known["born"] - 1}))
    assert sleeper.pid() is None
    sleeper.stop(grace=0)
    assert process.is_running()
    record.write_text(json.dumps(known))  # so that the fixture finds it


def test_a_taken_port_is_refused_with_its_field_and_its_holder(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PartRefused, match=rf"{port} \(sleeper_port\).*KIBAN_SLEEPER_PORT"):
            daemon(tmp_path, SLEEPER, port).start()


def test_what_a_check_refuses_is_not_started(tmp_path: Path) -> None:
    def refuse() -> None:
        raise PartRefused("no model")

    refused = daemon(tmp_path, SLEEPER)
    with pytest.raises(PartRefused, match="no model"):
        Daemon(**{**vars(refused), "check": refuse}).start()
    assert not refused.log.exists()
