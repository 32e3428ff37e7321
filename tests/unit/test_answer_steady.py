from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from judging import passage

from kiban.answer.steady import Attempt, steadily
from kiban.domain.question import PROSE, Answer, Form
from kiban.errors import ModelUnwell, PartUnavailable, UnknownModel

QUESTION = "有給休暇は何日ですか。"
FOUND = (passage(),)
QUOTED = "12日です。「有給休暇は12日とする。」[1]"


def writes(*pieces: str, then: Exception | None = None) -> Attempt:
    async def attempt() -> AsyncGenerator[str | Answer]:
        for piece in pieces:
            yield piece
        if then:
            raise then
        yield Answer("".join(pieces), (), FOUND, abstained=False, release_id="tried")

    return attempt


async def received(*attempts: Attempt, form: Form = PROSE) -> tuple[str, Answer]:
    pieces = [piece async for piece in steadily(attempts, QUESTION, FOUND, release_id="release", form=form)]
    last = pieces[-1]
    assert isinstance(last, Answer)
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    assert text == last.text
    return text, last


@pytest.mark.parametrize("ill", [UnknownModel("adapter"), ModelUnwell("500")])
async def test_where_the_adapter_is_ill_the_next_weights_answer(ill: Exception) -> None:
    text, answer = await received(writes(then=ill), writes("base"))
    assert (text, answer.failed) == ("base", False)


async def test_where_no_model_answers_what_was_found_is_shown_with_a_notice() -> None:
    text, answer = await received(writes(then=PartUnavailable("down")), writes("not asked"))
    assert "モデルが応答していません" in text
    assert "1. 規則" in text
    assert answer.failed and not answer.abstained and answer.passages == FOUND


async def test_the_last_weights_failing_too_is_a_notice() -> None:
    text, answer = await received(writes(then=UnknownModel("a")), writes(then=ModelUnwell("b")))
    assert answer.failed and "1. 規則" in text


async def test_an_answer_that_breaks_off_keeps_its_proofs_and_says_so() -> None:
    text, answer = await received(writes(QUOTED, then=ModelUnwell("died")), writes("base"))
    assert text.startswith(QUOTED) and "途中で切れました" in text and "base" not in text
    assert [citation.quote for citation in answer.citations] == ["有給休暇は12日とする。"]
    assert answer.failed


async def test_what_must_follow_a_schema_is_never_mixed_with_a_notice() -> None:
    with pytest.raises(PartUnavailable):
        await received(writes(then=PartUnavailable("down")), form=Form(schema="{}"))


async def test_a_notice_is_in_the_language_of_the_question() -> None:
    pieces = [
        piece
        async for piece in steadily(
            [writes(then=PartUnavailable("down"))], "How many days?", FOUND, release_id="r", form=PROSE
        )
    ]
    assert str(pieces[0]).startswith("No answer can be written now")
