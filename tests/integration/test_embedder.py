"""The embedder and its trainer, on an encoder of a few thousand parameters."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from tiny_files import make_tiny_embedder

from kiban.backends.sentence_transformers import SentenceTransformersEmbedder
from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.learning import EveryonesPairs, TrainingPair, Weights
from kiban.errors import BadWeights, CutShort, TooFewExamples

WORDS = "embeddings.word_embeddings.weight"
SUBJECTS = ("有給休暇", "旅費", "部品", "交換", "規程", "給", "費", "部")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small take longer to hand to a second thread than to multiply."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_embedder(tmp_path_factory.mktemp("encoder") / "base")


def pair(subject: str, *negatives: str) -> TrainingPair:
    return TrainingPair(f"{subject}何日", f"{subject}規程", negatives, (), Audience(frozenset({EVERYONE})))


def train(base: Path, out: Path, **settings: object) -> Weights:
    trainer = SentenceTransformersTrainer(base, **settings)  # type: ignore[arg-type]
    return trainer.train(EveryonesPairs(map(pair, SUBJECTS)), out, lambda done, total, what: None)


def test_vectors_have_unit_length_and_the_models_dimensions(base: Path) -> None:
    embedder = SentenceTransformersEmbedder(base, device="cpu")
    vectors = np.asarray(embedder.passages(["有給休暇", "a", "旅費規程" * 40]))
    assert vectors.shape == (3, embedder.dimensions) == (3, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(np.linalg.norm(embedder.query("何日")), 1, atol=1e-6)


def test_tokens_are_counted_as_far_as_they_are_read(base: Path) -> None:
    embedder = SentenceTransformersEmbedder(base, device="cpu")
    once = embedder.tokens(["旅費規程"])
    assert 0 < once and embedder.tokens(["旅費規程"] * 2) == 2 * once
    assert embedder.tokens(["旅費規程" * 10_000]) < 10_000


def test_no_text_gives_no_vector(base: Path) -> None:
    assert list(SentenceTransformersEmbedder(base, device="cpu").passages([])) == []


def test_vectors_are_those_of_the_reference_under_the_models_own_prompts(base: Path) -> None:
    embedder = SentenceTransformersEmbedder(base, device="cpu")
    reference = SentenceTransformer(str(base), device="cpu")
    texts = ["旅費規程", "部品交換何日"]
    passages = reference.encode([f"passage: {text}" for text in texts])
    query = reference.encode(["query: 何日"])[0]
    assert (np.asarray(embedder.passages(texts)) * passages).sum(axis=1).min() > 0.999
    assert float(np.asarray(embedder.query("何日")) @ query) > 0.999
    assert float(query @ reference.encode(["何日"])[0]) < 0.999  # the prompt does count


def test_a_model_without_prompts_sees_the_bare_text(base: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in base.iterdir():
        (bare / file.name).symlink_to(file)
    (bare / "config_sentence_transformers.json").unlink()
    (bare / "config_sentence_transformers.json").write_text("{}")
    reference = SentenceTransformer(str(bare), device="cpu").encode(["何日"])[0]
    assert (
        float(np.asarray(SentenceTransformersEmbedder(bare, device="cpu").query("何日")) @ reference) > 0.999
    )


def test_order_and_company_do_not_change_a_vector(base: Path) -> None:
    embedder = SentenceTransformersEmbedder(base, device="cpu", batch_size=2)
    texts = ["部", "旅費規程" * 12, "有給休暇", "交換" * 7, "a"]
    together = np.asarray(embedder.passages(texts))
    alone = np.asarray([embedder.passages([text])[0] for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.999


def test_several_threads_may_ask_at_once(base: Path) -> None:
    embedder = SentenceTransformersEmbedder(base, device="cpu")
    texts = ["部", "旅費規程" * 12, "有給休暇", "交換" * 7]
    expected = [np.asarray(embedder.query(text)) for text in texts]
    wrong: list[str] = []

    def ask(text: str, vector: np.ndarray) -> None:  # type: ignore[type-arg]
        for _ in range(20):
            if float(np.asarray(embedder.query(text)) @ vector) < 0.999:
                wrong.append(text)

    threads = [threading.Thread(target=ask, args=both) for both in zip(texts, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_folder_that_is_no_embedder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadWeights):
        SentenceTransformersEmbedder(tmp_path, device="cpu")


def test_a_trained_embedder_differs_only_in_its_layers(base: Path, tmp_path: Path) -> None:
    weights = train(base, tmp_path / "out")
    assert weights == Weights.of(tmp_path / "out")
    before, after = (load_file(folder / "model.safetensors") for folder in (base, weights.path))
    assert before.keys() == after.keys()
    assert torch.equal(before[WORDS], after[WORDS])
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("attention" in name for name in changed)
    for file in base.rglob("*.json"):
        assert (weights.path / file.relative_to(base)).read_bytes() == file.read_bytes()
    assert SentenceTransformersEmbedder(weights.path, device="cpu").dimensions == 32


def test_equal_pairs_give_equal_weights(base: Path, tmp_path: Path) -> None:
    assert train(base, tmp_path / "one").sha256 == train(base, tmp_path / "two").sha256


def test_no_share_of_what_was_learnt_leaves_the_base(base: Path, tmp_path: Path) -> None:
    weights = train(base, tmp_path / "out", share=0.0)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, weights.path))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_questions_come_closer_to_their_passages(base: Path, tmp_path: Path) -> None:
    def margin(folder: Path) -> float:
        embedder = SentenceTransformersEmbedder(folder, device="cpu")
        pairs = [*map(pair, SUBJECTS)]
        questions = np.asarray([embedder.query(one.question) for one in pairs])
        scores = questions @ np.asarray(embedder.passages([one.passage for one in pairs])).T
        return float(np.diag(scores).mean() - scores.mean())

    learnt = train(base, tmp_path / "out", epochs=40, learning_rate=3e-3, share=1.0, temperature=0.05)
    assert margin(learnt.path) > margin(base) + 0.01


def test_every_step_is_told_with_its_loss(base: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    measured: list[int] = []
    trainer = SentenceTransformersTrainer(
        base, batch=4, epochs=2, log=lambda step, measures: measured.append(step) if measures else None
    )
    trainer.train(EveryonesPairs(map(pair, SUBJECTS)), tmp_path / "out", lambda *step: told.append(step))
    assert [done for done, _, _ in told] == measured == [1, 2, 3, 4]
    assert {(total, what) for _, total, what in told} == {(4, "train embedder")}


def test_look_alikes_are_used_when_asked_for(base: Path, tmp_path: Path) -> None:
    pairs = EveryonesPairs(
        [pair(subject, f"{subject}交換") for subject in SUBJECTS[:6]] + [*map(pair, SUBJECTS[6:])]
    )
    plain = SentenceTransformersTrainer(base).train(pairs, tmp_path / "a", lambda *step: None)
    hard = SentenceTransformersTrainer(base, negatives=2).train(pairs, tmp_path / "b", lambda *step: None)
    assert plain.sha256 != hard.sha256


def test_one_pair_is_too_few(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TooFewExamples):
        SentenceTransformersTrainer(base).train(EveryonesPairs([pair("旅費")]), tmp_path, lambda *step: None)


def test_notes_about_the_base_are_not_passed_on(base: Path, tmp_path: Path) -> None:
    note = base / "kiban.json"
    note.write_text(json.dumps({"name": "base"}))
    try:
        assert not (train(base, tmp_path / "out").path / "kiban.json").exists()
    finally:
        note.unlink()


def test_a_text_that_the_model_would_not_read_to_its_end_is_refused(base: Path, tmp_path: Path) -> None:
    pairs = [*map(pair, SUBJECTS), pair("交換", "規程" * 400)]
    with pytest.raises(CutShort, match="Pair 8, made from 交換何日: 812 tokens of at most 64"):
        SentenceTransformersTrainer(base).train(pairs, tmp_path / "out", lambda *step: None)
    assert not (tmp_path / "out").exists()
