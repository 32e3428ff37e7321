"""A language model and an embedder read before they are taught: models of a few thousand parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed_training import ALL, LINEAGE, curriculum
from peft import PeftModel
from safetensors.torch import load_file
from tiny import make_tiny_model
from tiny_files import make_tiny_embedder
from transformers import AutoModelForCausalLM, AutoTokenizer

from kiban.backends.masked_words import MaskedWordsTrainer
from kiban.backends.sentence_transformers import SentenceTransformersEmbedder
from kiban.backends.trl import TrlTrainer
from kiban.backends.trl_reading import ReadingTrainer
from kiban.domain.learning import Cost, TrainingText, Weights
from kiban.errors import BadWeights, CutShort, TooFewExamples
from kiban.testing.tiny import make_tiny_encoder

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
WORDS = "embeddings.word_embeddings.weight"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small take longer to hand to a second thread than to multiply."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def text(what: str) -> TrainingText:
    return TrainingText(what, (LINEAGE,), ALL)


TEXTS = [text(f"有給休暇規程第{number}条") for number in range(8)]


def surprise(base: Path, adapter: Path | None, what: str) -> float:
    """Return the mean loss of a text, in nats a token."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter) if adapter else model
    ids = AutoTokenizer.from_pretrained(base)(what, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return float(model(input_ids=ids, labels=ids).loss)


def test_what_was_read_is_less_surprising_and_examples_go_on_from_there(tmp_path: Path) -> None:
    base, costs = make_tiny_model(tmp_path / "base"), list[Cost]()
    trainer = ReadingTrainer(base, "base", rank=8, epochs=6, learning_rate=2e-2, spent=costs.append)
    read = trainer.train(TEXTS, tmp_path / "read", lambda *_: None)
    assert surprise(base, read.path, TEXTS[0].text) < surprise(base, None, TEXTS[0].text) - 0.3
    assert json.loads((read.path / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"
    assert costs[0].seconds > 0
    assert trainer.train(TEXTS, tmp_path / "again", lambda *_: None) == replace(read, path=tmp_path / "again")
    fresh = TrlTrainer(base, "base", rank=8, learning_rate=1e-6)
    new = fresh.train(curriculum(), tmp_path / "new", lambda *_: None)
    on = replace(fresh, begin=read.path).train(curriculum(), tmp_path / "on", lambda *_: None)
    assert surprise(base, on.path, TEXTS[0].text) < surprise(base, new.path, TEXTS[0].text) - 0.3
    assert sorted(file.name for file in on.path.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


def test_nothing_is_read_that_would_be_cut_short(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    trainer = ReadingTrainer(base, "base", max_length=64)
    with pytest.raises(CutShort, match=r"A text of rules\.md: 91 tokens of at most 64"):
        trainer.train([*TEXTS, text("規程" * 15)], tmp_path / "out", lambda *_: None)
    with pytest.raises(TooFewExamples):
        trainer.train([], tmp_path / "out", lambda *_: None)


def test_an_embedder_reads_and_stays_one_of_the_same_words(tmp_path: Path) -> None:
    base = make_tiny_embedder(tmp_path / "base")
    told: list[float] = []
    trainer = MaskedWordsTrainer(
        base, epochs=20, learning_rate=3e-3, share=1.0, log=lambda step, of: told.append(of["read_loss"])
    )
    read = trainer.train(TEXTS, tmp_path / "read", lambda *_: None)
    assert sum(told[-4:]) < sum(told[:4]) - 0.5
    before, after = (load_file(folder / "model.safetensors") for folder in (base, read.path))
    assert before.keys() == after.keys() and torch.equal(before[WORDS], after[WORDS])
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert SentenceTransformersEmbedder(read.path, device="cpu").dimensions == 32
    assert read == Weights.of(tmp_path / "read")
    none = replace(trainer, epochs=1, share=0.0).train(TEXTS, tmp_path / "none", lambda *_: None)
    unmoved = load_file(none.path / "model.safetensors")
    assert all(torch.equal(before[name], unmoved[name]) for name in before)


def test_an_embedder_that_cannot_hide_words_is_refused(tmp_path: Path) -> None:
    base = make_tiny_encoder(tmp_path / "base")
    with pytest.raises(BadWeights, match="no token that hides"):
        MaskedWordsTrainer(base).train(TEXTS, tmp_path / "out", lambda *_: None)
