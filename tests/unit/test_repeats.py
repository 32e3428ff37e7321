"""The same passage from another folder is shown once; one that differs in a number or a "not" stays."""

from __future__ import annotations

import numpy as np
import pytest
from adapting import passage
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.domain.access import Principal
from kiban.retrieve.repeats import says_the_same, without_repeats
from kiban.retrieve.search import find
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, WordTokenizer, arrival

RULE = "第6条 宿泊費は1泊9,800円を上限とし、領収書を添えて翌月10日までに申請する。部長の承認を要する。"
ENGLISH = (
    "Lodging is paid up to 9,800 yen a night. Claims are filed with the receipt by the 10th of the month."
)


@pytest.mark.parametrize(
    "twin",
    [
        RULE,
        RULE.replace("。", "。\n"),
        RULE.replace("9,800", "９，８００").replace("1泊", "１泊"),
        RULE[: len(RULE) // 2 + 8],  # cut elsewhere, as in the PDF of the same text
    ],
)
def test_the_same_text_in_another_form_is_no_second_passage(twin: str) -> None:
    assert without_repeats([passage(1, RULE), passage(2, twin)], 4) == [passage(1, RULE)]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (RULE, RULE.replace("9,800円", "12,000円")),
        (RULE, RULE.replace("要する", "要しない")),
        (RULE, RULE.replace("10日", "十五日")),
        (RULE, RULE + "ただし、役員の宿泊費は別表による。"),
        (ENGLISH, ENGLISH.replace("is paid", "is not paid")),
        (ENGLISH, ENGLISH.replace("10th", "20th")),
        (RULE, ENGLISH),
        ("日当 3,000円", "日当 3,000円"),  # too short to judge
    ],
)
def test_what_says_something_else_stays(text: str, other: str) -> None:
    assert len(without_repeats([passage(1, text), passage(2, other)], 4)) == 2


def test_the_next_passage_takes_the_place_of_one_left_out() -> None:
    found = [passage(1, RULE), passage(2, RULE), passage(3, ENGLISH)]
    assert [one.document_id for one in without_repeats(found, 2)] == [1, 3]


WORDS = st.lists(
    st.sampled_from(["宿泊費", "日当", "1泊", "9,800円", "上限", "申請", "ない", "receipt"]), min_size=1
)
TEXTS = st.lists(WORDS.map(lambda words: "、".join(words) * 3), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 5), max_size=6))
def test_hidden_twins_change_nothing(texts: list[str], copied: list[int]) -> None:
    def shown(hidden: list[str]) -> list[tuple[str, float]]:
        library, embedder = MemoryLibrary(), HashEmbedder(32)
        for number, text in enumerate(texts):
            library.put("s", [arrival(f"{number}.md", text)], {1: embedder.passages([text])})
        for number, text in enumerate(hidden):
            secret = arrival(f"hidden-{number}.md", text, readers=("hr",))
            library.put("s", [secret], {1: embedder.passages([text])})
        found = find(
            "宿泊費の上限", Principal("tanaka", frozenset()), index=MemorySearch(library),
            tokenizer=WordTokenizer(), embedder=embedder, generation=1, limit=40,
        )  # fmt: skip
        return [(one.uri, float(np.round(one.score, 9))) for one in without_repeats(found, 4)]

    assert shown([]) == shown([texts[number % len(texts)] for number in copied])


@given(WORDS, WORDS)
def test_a_text_says_the_same_as_itself_with_more_around_it(words: list[str], more: list[str]) -> None:
    text = "、".join(words) * 4 + "以上のとおり定めるので各位はこれを遵守のうえ業務にあたること"
    assert says_the_same(text, text + "。" + "、".join(more))
