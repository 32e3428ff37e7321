"""A hostile file costs its worker its life, and nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import files
import pytest

from kiban.backends.parsers.dispatch import parse
from kiban.backends.parsers.jail import JailedParser, Limits
from kiban.domain.document import ParsedDocument
from kiban.errors import BrokenFile, HostileFile, OversizeFile, PartRefused

MISBEHAVE = "kiban.testing.sources:misbehave"


@pytest.fixture(scope="module")
def jailed() -> Iterator[JailedParser]:
    with JailedParser() as parser:
        yield parser


@pytest.fixture(scope="module")
def tight() -> Iterator[JailedParser]:
    limits = Limits(file_bytes=1000, cpu_seconds=1.0, wall_seconds=2.0, memory_bytes=2**30, text_bytes=2**20)
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
    assert jailed.parse(file) == parse(file)


def test_a_refusal_crosses_the_wall_with_its_kind_and_detail(jailed: JailedParser, tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=r"not what \.pdf promises"):
        jailed.parse(files.source_file(tmp_path / "a.pdf", b"plain"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("endless", "not read within 2 s"),
        ("busy", "not read within 2 s|too much CPU"),
        ("greedy", "its parser died|more memory"),
        ("crash", "SIGABRT"),
        ("talkative", "more than 1,048,576"),
    ],
)
def test_a_hostile_file_fails_alone_and_the_next_is_read(
    tight: JailedParser, tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(HostileFile, match=reason):
        _ask(tight, tmp_path, name)
    assert _ask(tight, tmp_path, "good").sections[0].text == "読めた。"


def test_what_a_library_prints_is_not_taken_for_a_reply(tight: JailedParser, tmp_path: Path) -> None:
    assert _ask(tight, tmp_path, "noisy").sections[0].text == "読めた。"


def test_a_parser_cannot_write_files(tight: JailedParser, tmp_path: Path) -> None:
    with pytest.raises(HostileFile, match="its parser died"):
        _ask(tight, tmp_path, "writer")
    assert not (tmp_path / "writer.written").read_text()


def test_an_oversize_file_is_refused_unread(tight: JailedParser, tmp_path: Path) -> None:
    with pytest.raises(OversizeFile, match="1,001 bytes, more than 1,000"):
        tight.parse(files.source_file(tmp_path / "big.txt", b"x" * 1001))


def test_a_worker_that_cannot_start_is_named(tmp_path: Path) -> None:
    with JailedParser(parse="kiban.nowhere:parse") as parser, pytest.raises(PartRefused, match="exit 1"):
        _ask(parser, tmp_path, "a")
