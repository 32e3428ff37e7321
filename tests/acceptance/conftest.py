"""A whole house on ports and in folders of its own: every real component, and the smallest real model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Stack, fetch_models, free_ports


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(Path(__file__).parent / "documents", folder / "documents")
    ports = free_ports()
    house = Stack(
        folder,
        {f"KIBAN_{name.upper()}_PORT": str(port) for name, port in ports.items()}
        | fetch_models()
        | {
            "KIBAN_STATE": str(folder / "state"),
            "KIBAN_DOCUMENTS": str(folder / "documents"),
            "KIBAN_TRAINING_QUESTIONS": "16",
            "KIBAN_TRAINING_PAIRS": "16",
            "KIBAN_JUDGING_QUESTIONS": "8",
            "KIBAN_LORA_RANK": "8",
        },
    )
    try:
        house.kiban("up")
        yield house
    finally:
        house.run("down", "--remove-state")
