"""Training text holds no secret, says where one was taken out, and is refused if one is left."""

from __future__ import annotations

from dataclasses import replace

import pytest
from adapting import ALL, Finder, classroom, passage, questions, shelf

from kiban.adapt import scrub
from kiban.adapt.curriculum import Classroom, build
from kiban.adapt.questions import make_questions
from kiban.adapt.writers import TemplateWriter
from kiban.domain.learning import Curriculum
from kiban.domain.question import Passage
from kiban.errors import SecretsLeft
from kiban.testing import PatternDetector

FIND = PatternDetector().findings
PHONE = "090-1234-5678"


def with_findings(one: Passage) -> Passage:
    return replace(one, sensitive=FIND(one.original))


def told(passages: list[Passage]) -> tuple[Classroom, list[Passage]]:
    documents, _ = shelf()
    return replace(classroom(documents, passages), sensitive=FIND), passages


def shelf_with_phones() -> list[Passage]:
    texts = ((one, f"{one.original}連絡は{PHONE}。") for one in shelf()[1])
    return [with_findings(replace(one, original=text, normalised=text)) for one, text in texts]


def built(passages: list[Passage]) -> Curriculum:
    lent, _ = told(passages)
    return build(questions(), lent, audience=ALL, prompt_version="1", limit=10, seed=1)


def test_training_text_shows_what_was_there_and_the_curriculum_remembers_where() -> None:
    written = built(shelf_with_phones())
    texts = [text for one in written.examples for text in scrub.texts_of_example(one)]
    texts += [text for pair in written.pairs for text in scrub.texts_of_pair(pair)]
    assert len(written.examples) == len(written.pairs) == 10
    assert not any(PHONE in text for text in texts)
    assert all("〔電話番号〕" in one.prompt[-1].text for one in written.examples)
    by_chunk = {one.chunk_id: one for one in shelf_with_phones()}
    for made in (*written.examples, *written.pairs):
        assert made.scrubbed
        for taken in made.scrubbed:
            original = by_chunk[taken.chunk_id].original
            assert [one.span.of(original) for one in taken.findings] == [PHONE]


def test_nobody_is_asked_for_somebodys_number() -> None:
    documents, _ = shelf()
    passages = [
        with_findings(passage(1, f"寮費の照会先である内線は{PHONE}の12番とする。寮費は月額1,200円とする。"))
    ]
    asked, sieve = make_questions(passages, documents, writer=TemplateWriter(), find=Finder(passages))
    assert [one.gold for one in asked] == ["1,200円"] and sieve.given == 1


def test_a_title_and_a_heading_are_scrubbed_too() -> None:
    one = passage(1, "本文")
    named = replace(one, title=f"{PHONE} 宛", place=replace(one.place, heading="SECRET-5 の扱い"))
    clean = scrub.masked(named, FIND)
    assert (clean.title, clean.place.heading) == ("〔電話番号〕 宛", "〔APIキー〕 の扱い")


def test_an_example_in_which_something_is_left_is_not_made() -> None:
    # Stored before there was a detector: no finding stands beside the chunk.
    passages = [replace(one, sensitive=()) for one in shelf_with_phones()]
    written = built(passages)
    assert all(not one.lineage for one in written.examples) and written.pairs == ()


def test_training_refuses_a_curriculum_in_which_something_is_left() -> None:
    clean = built(shelf_with_phones())
    scrub.require_clean(clean, FIND)
    leaking = replace(clean.examples[0], target=f"{PHONE}です。")
    with pytest.raises(SecretsLeft, match="phone number"):
        scrub.require_clean(replace(clean, examples=(leaking, *clean.examples[1:])), FIND)
    with pytest.raises(SecretsLeft, match="API key"):
        pair = replace(clean.pairs[0], negatives=("SECRET-9",))
        scrub.require_clean(replace(clean, pairs=(*clean.pairs[1:], pair)), FIND)
