"""The trainer on a CUDA device: rows share padded batches there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import make_tiny_model

from kiban.backends.trl import TrlTrainer, number_format
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.learning import Cost, Curriculum, Lineage, Question, TrainingExample, Weights
from kiban.domain.question import Turn
from kiban.domain.text import Span

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
ALL = Audience(frozenset({EVERYONE}))
LINEAGE = Lineage(1, "rules.md", 1, "0" * 64)


def curriculum() -> Curriculum:
    """Twelve examples of different lengths."""
    examples = []
    for number in range(12):
        question = Question("寮費は？" * (1 + number), "答え", "答えです。", 1, Span(0, 5), LINEAGE, ALL)
        examples.append(
            TrainingExample(question, (Turn("user", question.text),), "答えです。", (LINEAGE,), ALL)
        )
    return Curriculum(ALL, tuple(examples), (), "1", 1)


def test_an_adapter_is_learnt_on_the_device(tmp_path: Path) -> None:
    losses: list[float] = []
    costs: list[Cost] = []
    torch.cuda.reset_peak_memory_stats()
    trainer = TrlTrainer(
        make_tiny_model(tmp_path / "base"), "base", rank=8, epochs=6, device="cuda", learning_rate=2e-2,
        spent=costs.append,
        log=lambda step, measures: losses.extend([measures["loss"]] if "loss" in measures else []),
    )  # fmt: skip
    weights = trainer.train(curriculum(), tmp_path / "adapter", lambda *_: None)
    assert weights == Weights.of(tmp_path / "adapter")
    assert len(losses) == 18 and losses[-1] < losses[0] - 0.3
    assert costs[0].peak_bytes == torch.cuda.max_memory_allocated() > 0
    assert costs[0].joules is None or costs[0].joules > 0


def test_the_device_multiplies_in_bfloat16_where_it_can() -> None:
    assert (number_format("cuda") is torch.bfloat16) == torch.cuda.is_bf16_supported()
