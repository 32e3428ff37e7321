"""A real sequence-to-sequence model, of a few thousand parameters, as a writer of questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import make_tiny_t5

from kiban.backends.seq2seq import LONGEST, SequenceModel
from kiban.errors import BadWeights

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def test_each_text_gets_an_answer_that_depends_on_it_alone(tmp_path: Path) -> None:
    model = SequenceModel(make_tiny_t5(tmp_path / "t5"))
    texts = [
        f"generate question: 寮費は<hl> {number}円 <hl>とする。" * (1 + number % 3) for number in range(9)
    ]
    together = model.complete(texts)
    assert len(together) == 9
    assert together == [model.complete([text])[0] for text in texts]  # padding changes nothing
    assert all(len(text.encode()) <= 3 * LONGEST for text in together)


def test_no_texts_get_no_answers(tmp_path: Path) -> None:
    assert SequenceModel(make_tiny_t5(tmp_path / "t5")).complete([]) == []


def test_a_folder_without_such_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(BadWeights):
        SequenceModel(tmp_path)
