"""The walls of the house: import-linter reads them from pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rooms_backends_and_domain_import_only_what_they_may() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_answering_brings_nothing_that_only_learning_and_judging_use() -> None:
    heavy = ("huggingface_hub", "mlflow", "prefect", "scipy", "torch", "transformers")
    asking = f"import sys, services.chat.__main__; print([name for name in {heavy} if name in sys.modules])"
    asked = subprocess.run(
        [sys.executable, "-c", asking], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert asked.stdout.strip() == "[]"
