"""What is read is whole, clean, of documents nothing is judged by, and named in the lineage."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from adapting import ALL, curriculum, document, passage

from kiban.adapt import reading
from kiban.domain.access import Audience
from kiban.domain.learning import Stage
from kiban.domain.sensitive import Finding
from kiban.errors import MixedAudience

LONG = (
    "寮費は月額12,100円とする。ただし、新入社員は最初の一年に限り半額とし、差額は会社が負担するものとする。"
)
DOCUMENTS = {number: document(number) for number in (1, 2, 3)}


def test_nothing_is_read_of_what_is_judged_by_or_says_too_little() -> None:
    passages = [passage(1, LONG), passage(2, LONG), passage(3, "第一章")]
    (one,), stage = reading.texts(passages, DOCUMENTS, {2}, lambda text: ())
    assert one.text == unicodedata.normalize("NFKC", LONG) and one.lineage[0].uri == "rules-1.md"
    assert stage == Stage("texts", 3, 1, {"judged_by": 1, "too_short": 1})


def test_a_text_with_a_secret_left_in_it_is_not_read() -> None:
    def finds(text: str) -> tuple[Finding, ...]:
        return (object(),) if "新入社員" in text else ()  # type: ignore[return-value]

    none, stage = reading.texts([passage(1, LONG)], DOCUMENTS, (), finds)
    assert none == () and stage.turned_away == {"not_clean": 1}


def test_what_is_read_changes_a_curriculums_name_and_lineage_and_nothing_read_does_not() -> None:
    written = curriculum()
    pieces, _ = reading.texts([passage(99, LONG)], {99: document(99)}, (), lambda text: ())
    read = replace(written, texts=pieces)
    assert read.sha256 != written.sha256 == replace(read, texts=()).sha256
    assert {one.uri for one in read.lineage} - {one.uri for one in written.lineage} == {"rules-99.md"}


def test_what_not_everyone_may_read_is_refused() -> None:
    hr = document(99, Audience(frozenset({"hr"})))
    pieces, _ = reading.texts([passage(99, LONG)], {99: hr}, (), lambda text: ())
    with pytest.raises(MixedAudience, match=r"rules-99\.md"):
        replace(curriculum(), texts=pieces)
    assert pieces[0].audience != ALL
