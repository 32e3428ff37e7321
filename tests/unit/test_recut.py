"""A document cut anew from its chunks is what cutting the file would have given."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from kiban.domain.document import ParsedDocument, Place, Section
from kiban.errors import SettingsError
from kiban.ingest import recut, sensitive
from kiban.ingest.chunking import STANDARD, Chunking, cut
from kiban.testing import PatternDetector, WordTokenizer

TOKENIZER, DETECTOR = WordTokenizer(), PatternDetector()
PIECES = [
    "旅費は実費とする。",
    "Pumps need oil. ",
    "電話 090-1234-5678 ",
    "SECRET-12",
    "　",
    "\n",
    "\n\n",
    " ",
    "、",
    "項目\t値\n",
]
CHUNKINGS = [Chunking(20, 30), Chunking(60, 90), STANDARD, Chunking(500, 700)]


def document(chance: random.Random) -> ParsedDocument:
    places = [Place(heading=chance.choice("甲乙")) for _ in range(chance.randint(1, 6))]  # often the same
    texts = ["".join(chance.choices(PIECES, k=chance.randint(0, 150))) for _ in places]
    return ParsedDocument("旅費規程", tuple(map(Section, texts, places)))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_on_the_way_from_one_cut_to_another_and_back(seed: int) -> None:
    chance = random.Random(seed)
    parsed = document(chance)
    first, second = chance.sample(CHUNKINGS, 2)
    expected = {how: sensitive.mark(parsed, cut(parsed, TOKENIZER, how), DETECTOR) for how in (first, second)}
    if not expected[first]:
        return
    stored = [
        replace(chunk, terms=(), sensitive=()) for chunk in expected[first]
    ]  # as the library gives them
    again = recut.again(parsed.title, stored, TOKENIZER, second, DETECTOR)
    assert again == expected[second]
    assert recut.again(parsed.title, again, TOKENIZER, first, DETECTOR) == expected[first]


def test_what_was_stored_before_chunks_kept_their_lead_keeps_its_words_and_spans() -> None:
    parsed = document(random.Random(3))
    stored = [replace(chunk, lead="\n") for chunk in cut(parsed, TOKENIZER)]
    again = recut.again(parsed.title, stored, TOKENIZER, CHUNKINGS[1])
    text = parsed.text
    assert "".join("".join(chunk.original.split()) for chunk in again) == "".join(text.split())
    for chunk in again:
        assert chunk.span.of(text).split() == chunk.original.split()


def test_a_chunking_is_its_name() -> None:
    assert Chunking.named("250-350") == Chunking.named(STANDARD.name) == STANDARD
    for wrong in ("", "350-250", "10-20", "250-900", "250-350-2", "words-1"):
        with pytest.raises(SettingsError, match="250-350"):
            Chunking.named(wrong)
