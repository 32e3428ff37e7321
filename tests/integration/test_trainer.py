"""The real trainer, on a model of a few thousand parameters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny import make_tiny_model
from transformers import AutoModelForCausalLM

from kiban.backends import trl
from kiban.backends.trl import TrlTrainer
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.learning import Curriculum, Lineage, Question, TrainingExample, Weights
from kiban.domain.question import Turn
from kiban.domain.text import Span
from kiban.errors import BadWeights, CutShort, MixedAudience, NothingToLearn, TooFewExamples

ALL = Audience(frozenset({EVERYONE}))
LINEAGE = Lineage(1, "rules.md", 1, "0" * 64)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small take longer to hand to a second thread than to multiply."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base"))


def example(number: int, target: str = "答えです。", prompt: str = "寮費はいくらですか。") -> TrainingExample:
    question = Question(f"{prompt}{number}", "答え", "答えです。", 1, Span(0, 5), LINEAGE, ALL)
    return TrainingExample(question, (Turn("user", question.text),), target, (LINEAGE,), ALL)


def curriculum(*examples: TrainingExample) -> Curriculum:
    return Curriculum(ALL, examples or tuple(map(example, range(12))), (), "1", 1)


def train(base: Path, out: Path, learnt: Curriculum, **settings: object) -> Weights:
    trainer = TrlTrainer(base, "base", rank=8, **settings)  # type: ignore[arg-type]
    return trainer.train(learnt, out, lambda done, total, what: None)


def test_an_adapter_is_two_files_that_a_server_accepts(base: Path, tmp_path: Path) -> None:
    weights = train(base, tmp_path / "adapter", curriculum())
    assert weights == Weights.of(tmp_path / "adapter")
    assert sorted(file.name for file in weights.path.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    config = json.loads((weights.path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (8, 16, "base")
    assert config["modules_to_save"] is None and not config["use_dora"] and config["bias"] == "none"
    assert str(base) not in (weights.path / "adapter_config.json").read_text()
    with safe_open(weights.path / "adapter_model.safetensors", "pt") as tensors:
        names = list(tensors.keys())
        assert any(tensors.get_tensor(name).abs().max() > 0 for name in names if "lora_B" in name)
    assert len(names) == 2 * 7 * 2  # layers, linear modules, A and B


def test_equal_curricula_give_equal_weights_and_other_seeds_give_others(base: Path, tmp_path: Path) -> None:
    one, again = (train(base, tmp_path / name, curriculum()).sha256 for name in ("one", "again"))
    other = train(base, tmp_path / "other", curriculum(), seed=5).sha256
    assert one == again != other


def test_the_loss_falls_and_progress_and_measures_are_told(base: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    losses: list[float] = []

    def log(step: int, measures: object) -> None:
        assert isinstance(measures, dict) and measures["seconds"] >= 0
        losses.extend([measures["loss"]] if "loss" in measures else [])

    trainer = TrlTrainer(base, "base", rank=8, epochs=6, learning_rate=2e-2, log=log)
    trainer.train(curriculum(), tmp_path / "adapter", lambda *step: told.append(step))
    assert losses[-1] < losses[0] - 0.3
    assert [done for done, _, _ in told] == list(range(19))
    assert {(total, what) for _, total, what in told} == {(18, "training the adapter")}


def test_only_the_completion_is_learnt(base: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    compute_loss = trl._CompletionTrainer.compute_loss

    def count(self, model, inputs, *args, **kwargs):  # type: ignore[no-untyped-def]
        seen.append(int((inputs["labels"] != trl.IGNORED).sum()))
        return compute_loss(self, model, inputs, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trl._CompletionTrainer, "compute_loss", count)
        train(base, tmp_path / "adapter", curriculum(*[example(n, "はい。") for n in range(4)]))
    assert set(seen) == {len("はい。".encode()) + len(["<|im_end|>", "\n"])}  # a token per byte


def test_the_loss_of_a_padded_batch_is_that_of_the_whole_model(base: Path) -> None:
    """On a GPU rows of different lengths share a batch; leaving out the prompts must change nothing."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    rows = torch.randint(3, 200, (2, 30))
    labels = rows.clone()
    labels[0, :20] = labels[1, :9] = labels[1, 24:] = trl.IGNORED
    attention = torch.ones_like(rows)
    attention[1, 24:] = 0
    batch = {"input_ids": rows, "labels": labels, "attention_mask": attention}
    whole = model(**batch).loss
    kept = trl.learnt_positions(labels)
    part = model(**{**batch, "labels": labels[:, kept]}, logits_to_keep=kept).loss
    assert kept.tolist() == list(range(8, 30))
    assert torch.allclose(part, whole, rtol=1e-5)


def test_a_restricted_example_is_refused_before_anything_is_written(base: Path, tmp_path: Path) -> None:
    tampered = curriculum()
    restricted = replace(tampered.examples[3], audience=Audience(frozenset({"hr"})))
    examples = (*tampered.examples[:3], restricted, *tampered.examples[4:])
    object.__setattr__(tampered, "examples", examples)  # past the curriculum's own guard
    with pytest.raises(MixedAudience):
        train(base, tmp_path / "adapter", tampered)
    assert not (tmp_path / "adapter").exists()


def test_a_row_that_would_be_cut_short_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    rows = [*map(example, range(3)), example(3, prompt="長い" * 40)]
    with pytest.raises(CutShort, match=r"Row 3, made from rules\.md: 2\d\d tokens of at most 200"):
        train(base, tmp_path / "adapter", curriculum(*rows), max_length=200)
    assert not (tmp_path / "adapter").exists()


def test_a_row_that_the_template_leaves_no_label_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    """A template that keeps silent about the assistant would mask every token."""
    mute = shutil.copytree(base, tmp_path / "mute")
    template = (mute / "chat_template.jinja").read_text()
    unspoken = template.replace("{% for message in messages %}", "{% for message in messages[:1] %}")
    (mute / "chat_template.jinja").write_text(unspoken)
    with pytest.raises(NothingToLearn, match="Row 0, made from"):
        train(mute, tmp_path / "adapter", curriculum())


def test_no_examples_and_no_base_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TooFewExamples):
        train(base, tmp_path / "adapter", Curriculum(ALL, (), (), "1", 1))
    with pytest.raises(BadWeights, match="kiban models fetch"):
        train(tmp_path / "nowhere", tmp_path / "adapter", curriculum())


def test_training_goes_on_where_it_was_stopped(base: Path, tmp_path: Path) -> None:
    """Stopped after the fourth step, it goes on from the checkpoint of the third, to the same weights."""
    settings = {"epochs": 3, "rank": 8, "checkpoint_every": 3}
    whole = TrlTrainer(base, "base", **settings).train(curriculum(), tmp_path / "whole", lambda *_: None)

    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        if done == 4:
            raise Stop

    with pytest.raises(Stop):
        TrlTrainer(base, "base", **settings).train(curriculum(), tmp_path / "adapter", stop)
    steps: list[int] = []
    resumed = TrlTrainer(base, "base", **settings).train(
        curriculum(), tmp_path / "adapter", lambda done, total, what: steps.append(done)
    )
    assert steps == [3, 4, 5, 6, 7, 8, 9]
    assert resumed.sha256 == whole.sha256
