"""Whether a choice of tools is counted as right."""

from __future__ import annotations

import pytest

from kiban.bench.choosing import QUESTIONS, Asked, Chosen
from kiban.domain.question import ToolCall

RATE = Asked("今日、1ユーロは何円ですか。", "exchange_rate", ("EUR",))
NONE = Asked("有給休暇は何日もらえますか。")


@pytest.mark.parametrize(
    ("asked", "calls", "rightly", "wholly"),
    [
        (RATE, [("exchange_rate", '{"currency": "EUR"}')], True, True),
        (RATE, [("exchange_rate", '{"currency": "USD"}')], True, False),
        (RATE, [("exchange_rate", '{"code": "EUR"}')], True, False),
        (RATE, [("exchange_rate", '{"currency": "EUR"')], True, False),
        (RATE, [("weather", '{"city": "EUR"}')], False, False),
        (RATE, [("exchange_rate", '{"currency": "EUR"}')] * 2, False, False),
        (RATE, [], False, False),
        (NONE, [], True, True),
        (NONE, [("weather", '{"city": "東京"}')], False, False),
    ],
)
def test_a_choice_is_right_when_what_is_needed_is_called_and_nothing_else(
    asked: Asked, calls: list[tuple[str, str]], rightly: bool, wholly: bool
) -> None:
    made = tuple(ToolCall("call_1", name, arguments) for name, arguments in calls)
    chosen = Chosen(asked, made)
    assert (chosen.rightly, chosen.wholly) == (rightly, wholly)


def test_half_of_the_questions_need_a_tool_in_both_languages() -> None:
    needing = [bool(one.tool) for one in QUESTIONS]
    assert [sum(needing[:20]), sum(needing[20:]), len(needing)] == [10, 10, 40]
