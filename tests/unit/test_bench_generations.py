"""Two rankings compared: the measures' own properties, and questions as people write them down."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiban.bench.generations import compare, overlap, rank_biased_overlap, read_questions
from kiban.errors import SettingsError

TEN = [f"{n}.md" for n in range(10)]


def test_equal_rankings_agree_wholly_and_disjoint_ones_not_at_all() -> None:
    for measure in (overlap, rank_biased_overlap):
        assert measure(TEN, TEN) == pytest.approx(1.0)
        assert measure(TEN, [f"other {n}" for n in range(10)]) == 0.0
        assert measure([], []) == 1.0
        assert measure(TEN, []) == 0.0


def test_rank_biased_overlap_minds_the_top_more_than_the_end() -> None:
    top, end = [*TEN], [*TEN]
    top[0], end[9] = "x", "x"
    assert rank_biased_overlap(TEN, top) < rank_biased_overlap(TEN, end) < 1.0
    assert overlap(TEN, top) == overlap(TEN, end) == 0.9
    assert rank_biased_overlap(["a", "b"], ["b", "a"], p=0.5) == pytest.approx(0.5)


def test_a_comparison_says_which_finds_more(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"text": "a?", "relevant": {"0.md": 1}}\n{"text": "b?"}\n')
    asked = read_questions(file)
    found = compare((1, lambda _: TEN[::-1]), (2, lambda _: TEN), asked)
    assert (found.old, found.new, found.questions) == (1, 2, 2)
    assert found.new_ndcg_at_10 == 1.0
    assert found.old_ndcg_at_10 is not None and found.old_ndcg_at_10 < 1.0
    assert found.ndcg_difference is not None and found.ndcg_difference[0] > 0
    assert (found.overlap_at_10, found.unchanged) == (1.0, 0.0)


def test_without_judgements_only_agreement_is_told(tmp_path: Path) -> None:
    file = tmp_path / "questions.txt"
    file.write_text("有給休暇は何日？\n\nhow many days?\n")
    found = compare((1, lambda _: TEN), (2, lambda _: TEN), read_questions(file))
    assert (found.questions, found.unchanged, found.ndcg_difference) == (2, 1.0, None)


@pytest.mark.parametrize("content", ["", '{"text": ', '{"question": "a"}'])
def test_questions_that_cannot_be_read_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(content)
    with pytest.raises(SettingsError):
        read_questions(file)
    with pytest.raises(SettingsError):
        read_questions(tmp_path / "nowhere")
