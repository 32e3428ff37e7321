"""A hostile file costs its worker its life, and nobody else anything."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import files
import pytest

from kiban.backends.parsers.dispatch import parse
from kiban.backends.parsers.jail import JailedParser
from kiban.backends.parsers.worker_process import Limits
from kiban.domain.document import ParsedDocument, SourceFile
from kiban.errors import BrokenFile, GoneMeanwhile, HostileFile, OversizeFile, PartRefused

MISBEHAVE = "kiban.testing.hostile:misbehave"


@pytest.fixture(scope="module")
def jailed() -> Iterator[JailedParser]:
    with JailedParser() as parser:
        yield parser


@pytest.fixture(scope="module")
def tight() -> Iterator[JailedParser]:
    limits = Limits(file_bytes=1000, cpu_seconds=1.0, wall_seconds=5.0, memory_bytes=2**30, text_bytes=2**20)
    with JailedParser(limits, parse=MISBEHAVE) as parser:
        yield parser


def _ask(parser: JailedParser, tmp_path: Path, name: str) -> ParsedDocument:
    return parser.parse(files.source_file(tmp_path / name, b"x"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.docx", files.word()), ("a.pdf", files.pdf([["本文。"]])), ("a.xlsx", files.workbook())],
)
def test_the_jail_reads_what_its_parsers_read(
    jailed: JailedParser, tmp_path: Path, name: str, content: bytes
) -> None:
    file = files.source_file(tmp_path / name, content)
    assert jailed.parse(file) == parse(name, content)


def test_a_refusal_crosses_the_wall_with_its_kind_and_detail(jailed: JailedParser, tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=r"not what \.pdf promises"):
        jailed.parse(files.source_file(tmp_path / "a.pdf", b"plain"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("endless", "not read within 5 s"),
        ("busy", "not read within 5 s|too much CPU"),
        ("greedy", "its parser died|more memory"),
        ("crash", "SIGABRT"),
        ("talkative", "more than 1,048,576"),
        ("liar", "nothing sensible"),
        ("forger", "nothing sensible"),
    ],
)
def test_a_hostile_file_fails_alone_and_the_next_is_read(
    tight: JailedParser, tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(HostileFile, match=reason):
        _ask(tight, tmp_path, name)
    assert _ask(tight, tmp_path, "good").sections[0].text == "読めた。"


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_what_one_file_leaves_behind_is_never_taken_for_the_next_ones_text(
    tight: JailedParser, tmp_path: Path, pause: float
) -> None:
    """However fast the next file comes: the liar's own reply may still be on its way, or there already."""
    for _ in range(5):
        assert _ask(tight, tmp_path, "good").sections[0].text == "読めた。"
        with pytest.raises(HostileFile, match="nothing sensible"):
            _ask(tight, tmp_path, "liar")
        time.sleep(pause)
        assert _ask(tight, tmp_path, "good").sections[0].text == "読めた。"


def test_what_a_library_prints_is_not_taken_for_a_reply(tight: JailedParser, tmp_path: Path) -> None:
    assert _ask(tight, tmp_path, "noisy").sections[0].text == "読めた。"


@pytest.mark.parametrize("deed", ["connect", "read", "list", "write", "delete", "fork", "run", "signal"])
def test_a_parser_that_a_file_has_taken_over_can_do_nothing(
    tight: JailedParser, tmp_path: Path, deed: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("社外秘")
    with socket.create_server(("127.0.0.1", 0)) as server:
        targets = {
            "connect": f"127.0.0.1:{server.getsockname()[1]}",
            "list": str(tmp_path),
            "write": str(tmp_path / "new.txt"),
            "signal": str(os.getpid()),
        }
        content = targets.get(deed, str(secret)).encode()
        said = tight.parse(files.source_file(tmp_path / deed, content)).sections[0].text
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert said.startswith("refused: ")
    assert secret.read_text() == "社外秘" and not (tmp_path / "new.txt").exists()


def test_the_lines_of_defence_are_told(jailed: JailedParser) -> None:
    lines = jailed.lines_of_defence()
    assert "limits" in lines and {"network namespace", "seccomp"} & set(lines)


@pytest.mark.parametrize(
    "line", ["refuse_system_calls(threads=False)", "_leave_network()", "see_only(_readable())"]
)
def test_each_line_keeps_a_process_off_the_network_alone(line: str) -> None:
    """In a container that forbids the others, one has to do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = (
            "import socket\n"
            "from kiban.backends.parsers.confinement import *\n"
            "from kiban.backends.parsers.confinement import _leave_network, _readable\n"
            f"print('in force' if {line} else 'not here')\n"
            f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        )
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if told.stdout == "not here\n":
        pytest.skip("this machine does not have it")
    assert told.stdout == "in force\n" and told.returncode == 1, told.stderr
    assert re.search("PermissionError|OSError: .*unreachable", told.stderr)


def test_only_a_regular_file_is_handed_over(jailed: JailedParser, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for name, error in (("pipe.txt", BrokenFile), ("gone.txt", GoneMeanwhile)):
        with pytest.raises(error):
            jailed.parse(SourceFile(name, tmp_path / name, 1, "", files.EVERYONE))


def test_an_oversize_file_is_refused_unread(tight: JailedParser, tmp_path: Path) -> None:
    with pytest.raises(OversizeFile, match="1,001 bytes, more than 1,000"):
        tight.parse(files.source_file(tmp_path / "big.txt", b"x" * 1001))


def test_a_worker_that_cannot_start_is_named(tmp_path: Path) -> None:
    with JailedParser(parse="kiban.nowhere:parse") as parser, pytest.raises(PartRefused, match="exit 1"):
        _ask(parser, tmp_path, "a")


def test_a_thing_named_by_its_id_is_read_by_the_name_of_its_file(
    jailed: JailedParser, tmp_path: Path
) -> None:
    path = tmp_path / "手順.txt"
    path.write_text("一行目。\n二行目。\n", "utf-8")
    file = SourceFile("b!drive/01ITEM", path, path.stat().st_size, "", files.EVERYONE)
    assert jailed.parse(file).text.startswith("一行目。")
