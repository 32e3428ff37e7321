"""The real KTO trainer, on a model of a few thousand parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from killed_training import ALL, LINEAGE, curriculum
from peft import PeftModel
from tiny import make_tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from kiban.backends.trl import TrlTrainer
from kiban.backends.trl_kto import KtoTrainer
from kiban.domain.learning import Cost, Preference
from kiban.domain.question import Turn
from kiban.errors import CutShort, TooFewExamples

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
ASKED = (Turn("user", "寮費は？"),)
RIGHT, WRONG = "答えは12,100円。", "知りません。"


def preference(answer: str, desirable: bool) -> Preference:
    return Preference(ASKED, answer, desirable, (LINEAGE,), ALL)


def logprob(base: Path, adapter: Path, answer: str) -> float:
    """Return how likely an answer is under an adapter."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter
    )
    asked = [{"role": "user", "content": ASKED[0].text}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template(
        [*asked, {"role": "assistant", "content": answer}], return_dict=False
    )
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([whole])).logits.log_softmax(-1)[0]
    return sum(float(scores[at - 1, whole[at]]) for at in range(len(prompt), len(whole)))


def test_wanted_answers_become_likelier_and_unwanted_ones_less_likely(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    taught = TrlTrainer(base, "base", rank=8).train(curriculum(), tmp_path / "taught", lambda *_: None)
    costs: list[Cost] = []
    told: list[int] = []
    trainer = KtoTrainer(base, "base", taught.path, epochs=20, learning_rate=5e-3, spent=costs.append)
    rows = [preference(RIGHT, True), preference(WRONG, False)] * 2
    made = trainer.train(rows, tmp_path / "moved", lambda done, total, what: told.append(done))
    assert logprob(base, made.path, RIGHT) > logprob(base, taught.path, RIGHT) + 1
    assert logprob(base, made.path, WRONG) < logprob(base, taught.path, WRONG) - 1
    assert sorted(file.name for file in made.path.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    assert str(base) not in (made.path / "adapter_config.json").read_text()
    assert told[-1] == 20 and costs[0].seconds > 0
    again = trainer.train(rows, tmp_path / "again", lambda *_: None)
    assert again.sha256 == made.sha256 != taught.sha256


def test_what_would_be_cut_short_or_is_too_little_is_refused(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    taught = TrlTrainer(base, "base", rank=8).train(curriculum(), tmp_path / "taught", lambda *_: None)
    trainer = KtoTrainer(base, "base", taught.path, max_length=60)
    with pytest.raises(CutShort, match=r"Preference 1, made from rules\.md"):
        trainer.train(
            [preference("はい", True), preference(RIGHT * 9, False)], tmp_path / "x", lambda *_: None
        )
    with pytest.raises(TooFewExamples):
        trainer.train([preference("はい", True)], tmp_path / "x", lambda *_: None)
