"""What is refused as an adapter before a tensor is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kiban.backends.weights import verify_adapter
from kiban.errors import BadWeights

CONFIG = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "use_rslora": True, "bias": "none"}


def adapter(folder: Path, **changes: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "adapter_model.safetensors").write_bytes(b"not read yet")
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"peft_type": "IA3"},
        {"bias": "all"},
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 64}},
        {"layer_replication": [[0, 4]]},
        {"trainable_token_indices": [1]},
        {"init_lora_weights": "pissa"},
        {"r": 128},
        {"r": 0},
        {"r": "8"},
        {"auto_mapping": {"base_model_class": "Evil"}},
        {"auto_map": {"AutoModel": "evil.Model"}},
    ],
)
def test_anything_but_a_plain_lora_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BadWeights, match=r"LoRA|Rank|init_lora_weights|auto_map"):
        verify_adapter(adapter(tmp_path / "adapter", **changes), tmp_path)


def add_pickle(folder: Path) -> None:
    (folder / "training_args.bin").write_bytes(b"\x80\x04.")


def add_code(folder: Path) -> None:
    (folder / "modeling.py").write_text("print('hello')")


def add_link(folder: Path) -> None:
    (folder / "README.md").symlink_to(folder.parent)


def add_map_in_a_second_file(folder: Path) -> None:
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')


def remove_config(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


def break_config(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("[]")


@pytest.mark.parametrize(
    "spoil", [add_pickle, add_code, add_link, add_map_in_a_second_file, remove_config, break_config]
)
def test_foreign_files_are_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = adapter(tmp_path / "adapter")
    spoil(folder)
    with pytest.raises(BadWeights):
        verify_adapter(folder, tmp_path)
