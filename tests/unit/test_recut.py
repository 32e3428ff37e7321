"""A document cut anew from its chunks is what cutting the file would have given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    "\x1f",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=120).map("".join) | st.text(max_size=200)
PLACES = st.builds(Place, heading=st.sampled_from("甲乙"))  # often the same as that before
DOCUMENTS = st.builds(
    ParsedDocument, st.text(max_size=9), st.lists(st.builds(Section, TEXTS, PLACES), max_size=6).map(tuple)
)
CHUNKINGS = st.sampled_from([Chunking(20, 30), Chunking(60, 90), STANDARD, Chunking(500, 700)])


@given(DOCUMENTS, CHUNKINGS, CHUNKINGS)
def test_nothing_is_lost_on_the_way_from_one_cut_to_another_and_back(
    document: ParsedDocument, first: Chunking, second: Chunking
) -> None:
    one, other = (
        sensitive.mark(document, cut(document, TOKENIZER, how), DETECTOR) for how in (first, second)
    )
    if not one:
        return
    stored = [replace(chunk, terms=(), sensitive=()) for chunk in one]  # as the library gives them
    again = recut.again(document.title, stored, TOKENIZER, second, DETECTOR)
    assert again == other
    assert recut.again(document.title, again, TOKENIZER, first, DETECTOR) == one


@given(DOCUMENTS)
def test_what_was_stored_before_chunks_kept_their_lead_keeps_its_words_and_spans(
    document: ParsedDocument,
) -> None:
    stored = [replace(chunk, lead="\n") for chunk in cut(document, TOKENIZER)]
    if not stored:
        return
    again = recut.again(document.title, stored, TOKENIZER, Chunking(60, 90))
    assert [word for chunk in again for word in chunk.original if not word.isspace()] == [
        word for word in document.text if not word.isspace()
    ]
    for chunk in again:
        assert chunk.span.of(document.text).split() == chunk.original.split()


def test_a_chunking_is_its_name() -> None:
    assert Chunking.named("250-350") == Chunking.named(STANDARD.name) == STANDARD
    for wrong in ("", "350-250", "10-20", "250-900", "250-350-2", "words-1"):
        with pytest.raises(SettingsError, match="250-350"):
            Chunking.named(wrong)
