"""The real trainer, on an encoder of a few thousand parameters: what answers here names the oil."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_reranker import make_cross_encoder, make_encoder

from kiban.backends.cross_encoder import CrossEncoderReranker
from kiban.backends.cross_encoder_trainer import RerankerTrainer
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.evidence import Outcome
from kiban.domain.learning import Lineage, Question, TrainingPair, Weights
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.errors import BadWeights, CutShort, NothingToLearn, TooFewExamples
from kiban.judge.verdict import RERANKED, decide, judge_retrieval
from kiban.retrieve.rerank import Reranking
from kiban.retrieve.search import find
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, WordTokenizer, arrival

ALL = Audience(frozenset({EVERYONE}))
LINEAGE = Lineage(1, "pumps.md", 1, "0" * 64)
WORDS = "bert.embeddings.word_embeddings.weight"
SETTINGS = {"layers": 2, "batch": 12, "learning_rate": 1e-2, "checkpoint_every": 2}  # 3 steps an epoch


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small take longer to hand to a second thread than to multiply."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def pair(number: int = 0, question: str = "pump days item", *negatives: str) -> TrainingPair:
    filled = " ".join(["valve"] * (number % 5 + 1))
    wrong = negatives or (f"pump days pump days {filled} item", f"days {filled} pump item")
    return TrainingPair(question, f"{filled} oil pump item", wrong, (LINEAGE,), ALL)


PAIRS = tuple(map(pair, range(12)))


def train(base: Path, out: Path, pairs: tuple[TrainingPair, ...] = PAIRS, **settings: object) -> Weights:
    trainer = RerankerTrainer(base, **(SETTINGS | settings))  # type: ignore[arg-type]
    return trainer.train(pairs, out, lambda done, total, what: None)


def test_an_encoder_becomes_a_folder_that_search_can_read_with(base: Path, tmp_path: Path) -> None:
    weights = train(base, tmp_path / "out", epochs=30)
    assert weights == Weights.of(tmp_path / "out")
    assert not list(weights.path.glob("checkpoints*")) and not (weights.path / "README.md").exists()
    answers, looks_alike = CrossEncoderReranker(weights.path, "cpu").scores(
        "pump days item", ["valve oil pump item", "pump days pump days valve item"]
    )
    assert answers > 0.8 and looks_alike < 0.2
    assert str(base) not in "".join(file.read_text() for file in weights.path.glob("*.json"))


def test_words_stay_and_layers_above_those_wanted_are_left_out(base: Path, tmp_path: Path) -> None:
    weights = train(base, tmp_path / "out", layers=1)
    before, after = load_file(base / "model.safetensors"), load_file(weights.path / "model.safetensors")
    assert torch.equal(after[WORDS], before[WORDS.removeprefix("bert.")])
    layer = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(after[f"bert.{layer}"], before[layer])
    assert not any("layer.1." in name for name in after)
    assert json.loads((weights.path / "config.json").read_text())["num_hidden_layers"] == 1


def test_without_a_wish_all_layers_stay(base: Path, tmp_path: Path) -> None:
    weights = RerankerTrainer(base, batch=12).train(PAIRS, tmp_path / "out", lambda done, total, what: None)
    kept, had = (json.loads((folder / "config.json").read_text()) for folder in (weights.path, base))
    assert kept["num_hidden_layers"] == had["num_hidden_layers"] > 1


def test_a_reranker_is_taught_further_from_its_own_head(tmp_path: Path) -> None:
    before = make_cross_encoder(tmp_path / "base")
    weights = train(before, tmp_path / "out", layers=1, learning_rate=0.0)
    old, new = load_file(before / "model.safetensors"), load_file(weights.path / "model.safetensors")
    assert old.keys() == new.keys() and all(torch.equal(old[name], new[name]) for name in old)


def test_equal_pairs_give_equal_weights_and_other_seeds_give_others(base: Path, tmp_path: Path) -> None:
    one, again = (train(base, tmp_path / name).sha256 for name in ("one", "again"))
    assert one == again != train(base, tmp_path / "other", seed=5).sha256


def test_progress_and_losses_are_told_step_by_step(base: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    losses: dict[int, float] = {}
    trainer = RerankerTrainer(
        base,
        epochs=30,
        log=lambda step, measures: losses.update({step: measures["reranker_loss"]}),
        **SETTINGS,
    )  # type: ignore[arg-type]
    trainer.train(PAIRS, tmp_path / "out", lambda *step: told.append(step))
    assert told == [(step, 90, "train reranker") for step in range(1, 91)]
    assert sorted(losses) == list(range(1, 91))
    assert sum(losses[step] for step in range(81, 91)) < sum(losses[step] for step in range(1, 11)) / 2


def test_a_pair_without_look_alikes_borrows_from_another(base: Path, tmp_path: Path) -> None:
    alone = tuple(replace(one, negatives=()) for one in PAIRS)
    assert train(base, tmp_path / "out", alone).path.exists()


def test_what_cannot_teach_is_refused_before_the_first_step(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(TooFewExamples):
        train(base, out, PAIRS[:1])
    with pytest.raises(NothingToLearn, match="2 rows"):
        train(base, out, tuple(replace(PAIRS[0], negatives=()) for _ in range(2)))
    with pytest.raises(CutShort, match="of 36 rows exceed 8 tokens"):
        train(base, out, longest=8)
    with pytest.raises(BadWeights):
        train(tmp_path / "nowhere", out)


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
import torch; torch.set_num_threads(1)
from test_reranker_trainer import PAIRS, SETTINGS, Path, RerankerTrainer

def kill(done, total, what):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

RerankerTrainer(Path(sys.argv[1]), epochs=6, **SETTINGS).train(PAIRS, Path(sys.argv[2]), kill)
"""


def test_a_training_that_was_killed_goes_on_and_ends_with_the_same_weights(
    base: Path, tmp_path: Path
) -> None:
    """Killed at step 5 of 18 with a checkpoint of step 4, and half of another beside it."""
    whole = train(base, tmp_path / "whole", epochs=6)
    out = tmp_path / "out"
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(base), str(out), *here],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = out.glob("checkpoints-*")
    assert [path.name for path in left.iterdir()] == ["checkpoint-4"]
    (left / "checkpoint-6").mkdir()
    (left / "checkpoint-6" / "model.safetensors").write_bytes(b"half")
    steps: list[int] = []
    resumed = RerankerTrainer(base, epochs=6, **SETTINGS).train(  # type: ignore[arg-type]
        PAIRS, out, lambda done, total, what: steps.append(done)
    )
    assert steps == list(range(5, 19))
    assert resumed.sha256 == whole.sha256


def test_a_checkpoint_of_other_pairs_is_not_taken_up(base: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise Stop  # with a checkpoint of step 2

    out = tmp_path / "out"
    with pytest.raises(Stop):
        RerankerTrainer(base, epochs=2, **SETTINGS).train(PAIRS[:8], out, stop)  # type: ignore[arg-type]
    assert train(base, out).sha256 == train(base, tmp_path / "clean").sha256


def test_what_it_learnt_is_judged_by_what_search_finds_with_it(base: Path, tmp_path: Path) -> None:
    """The lanes prefer passages that repeat the question's words; the reranker those that answer it."""
    weights = train(base, tmp_path / "out", epochs=30)
    library, embedder = MemoryLibrary(), HashEmbedder()
    for number in range(20):
        texts = [f"{text} item{number}" for text in ("pump days pump days valve", "valve oil pump")]
        library.put("files", [arrival(f"{number}.md", *texts)], {1: embedder.passages(texts)})

    def ask(question: str, reranking: Reranking | None) -> list[Passage]:
        return find(
            question,
            Principal("someone", frozenset()),
            index=MemorySearch(library),
            tokenizer=WordTokenizer(),
            embedder=embedder,
            generation=1,
            limit=10,
            reranking=reranking,
        )

    everything = MemorySearch(library).browse(Principal("someone", frozenset()))
    gold = [passage for passage in everything if "oil" in passage.original]
    asked = [
        Question(
            f"pump days item{passage.uri.removesuffix('.md')}", "oil", passage.original, passage.chunk_id,
            Span(0, 3), replace(LINEAGE, document_id=passage.document_id), ALL,
        )
        for passage in gold
    ]  # fmt: skip
    reading = Reranking(CrossEncoderReranker(weights.path, "cpu"), passages=8, weight=0.7)
    old, new = ([ask(question.text, how) for question in asked] for how in (None, reading))
    verdict = decide("c", [], reranker=judge_retrieval(asked, old, new, name=RERANKED))
    assert (verdict.outcome, verdict.reranker_earned) == (Outcome.PASS, True)
