"""The attacks on the parsers at a small size, and that they could fail."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from kiban.backends.parsers.dispatch import parse
from kiban.bench.attacks import bombs, parsers
from kiban.bench.attacks.entities import Listener
from kiban.bench.attacks.mutants import mutated, seeds
from kiban.errors import DocumentError

QUICK = ("nested.zip", "laughs.docx", "million-pages.pdf", "deep.json")


class SmallStage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def size(self, full: int, least: int = 1) -> int:
        return least


def test_bombs_are_contained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "BOMBS", {name: bombs.BOMBS[name] for name in QUICK})
    figure = parsers.bombs(SmallStage(tmp_path))
    assert figure.passed and figure.trials == len(QUICK), figure


def test_a_parser_that_a_bomb_could_stop_would_be_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsers, "_CONTROL", b"\0" * 100)  # a next file that is not read
    monkeypatch.setattr(parsers, "BOMBS", {"deep.json": bombs.BOMBS["deep.json"]})
    assert not parsers.bombs(SmallStage(tmp_path)).passed


def test_references_are_not_followed(tmp_path: Path) -> None:
    figure = parsers.entities(SmallStage(tmp_path))
    assert figure.passed, figure


def test_a_call_would_be_counted() -> None:
    with Listener() as listener:
        socket.create_connection(("127.0.0.1", listener.port)).close()
        assert (listener.calls(), listener.calls()) == (1, 0)


def test_damage_costs_no_file_its_turn(tmp_path: Path) -> None:
    figure = parsers.fuzz(SmallStage(tmp_path))
    assert figure.passed and figure.trials == 100, figure


def test_seeds_are_read_before_they_are_damaged() -> None:
    for ending, content in seeds().items():
        document = parse(f"a{ending}", content)
        assert document.sections or document.unread, ending


def test_damage_repeats_with_its_seed_and_changes_most_files() -> None:
    originals = seeds()
    first, again = ([mutated(random.Random(7), originals) for _ in range(20)] for _ in range(2))
    assert first == again
    changed = sum(content not in originals.values() for _, content in first)
    assert changed > 15


@pytest.mark.parametrize("rounds", [1, 2])
def test_lzw_and_flate_bombs_are_what_they_claim(rounds: int) -> None:
    """A reader without limits gets the zeros: measured by what pdfium does with a small one."""
    import zlib

    assert zlib.decompress(bombs.zeros(rounds * 2**24)) == bytes(rounds * 2**24)
    page = bombs.pdf(b"BT /F1 12 Tf 72 700 Td (small) Tj ET", "")
    assert parse("a.pdf", page).text == "small"
    with pytest.raises(DocumentError):
        parse("a.pdf", bombs.pdf(bombs.lzw_zeros(rounds), "/Filter /LZWDecode "))
