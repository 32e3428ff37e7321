"""What people say of answers becomes preferences, without a word that not everyone may read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from adapting import ALL, classroom, shelf
from test_adapt_feedback import QUOTE, given

from kiban.adapt.feedback import admit
from kiban.adapt.preferences import prefer
from kiban.domain.access import Audience
from kiban.domain.feedback import Feedback
from kiban.domain.learning import Curriculum, Preference, Stage
from kiban.errors import MixedAudience


def made(*said: Feedback) -> tuple[tuple[Preference, ...], Stage]:
    documents, passages = shelf()
    admitted, _ = admit(said, {one.id: one for one in documents}, passages, examples=64)
    return prefer(admitted, classroom(documents, passages), passages, seed=1)


def said(answer: str) -> Feedback:
    return replace(given(), question="寮費はいくらですか。", answer=answer)


def test_a_corrected_answer_is_undesirable_and_the_vouched_one_desirable() -> None:
    wrong = "月額22,200円です。「日当は月額22,200円とする。」[2]"
    (right, shown), stage = made(said(wrong))
    assert right.desirable and QUOTE in right.answer and "12,100円" in right.answer
    assert (shown.desirable, shown.answer) == (False, wrong)
    assert right.prompt == shown.prompt and right.lineage == shown.lineage
    assert right.audience == shown.audience == ALL
    assert stage == Stage("preferences", 1, 2)


@pytest.mark.parametrize(
    "answer",
    [
        "役員寮の寮費は98,700円です。",  # from a document that only the asker may read
        "月額22,200円です。「役員の日当は月額98,700円とする。」[2]",
    ],
)
def test_an_answer_made_from_what_only_its_asker_may_read_is_not_learnt(answer: str) -> None:
    (right,), stage = made(said(answer))
    assert right.desirable and "98,700" not in right.answer
    assert stage.turned_away == {"answer_not_for_everyone": 1}


def test_a_confirmed_answer_is_only_desirable() -> None:
    (right,), _ = made(replace(said("12,100円です。"), correction=""))
    assert right.desirable and QUOTE in right.answer


def test_preferences_need_the_same_readers_as_all_else_and_name_their_documents() -> None:
    kept, _ = made(said("月額22,200円です。"))
    written = Curriculum(ALL, (), (), "1", 1, kept)
    assert "rules-1.md" in {seen.uri for seen in written.lineage}
    assert written.sha256 != Curriculum(ALL, (), (), "1", 1).sha256
    with pytest.raises(MixedAudience):
        Curriculum(ALL, (), (), "1", 1, (replace(kept[0], audience=Audience(frozenset({"hr"}))),))
