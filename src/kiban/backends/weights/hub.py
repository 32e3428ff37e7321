"""Weights from a Hugging Face hub, if the settings allow it."""

from __future__ import annotations

import shutil
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from kiban.errors import PartUnavailable

# No pickles and no code: nothing that could run when loaded.
WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
UNWANTED = ["onnx/*", "openvino/*", "original/*"]


def fetch(hub_id: str, revision: str | None, folder: Path) -> None:
    """Copy a model's safetensors, JSON and tokenizer files into `folder`. Raises PartUnavailable."""
    try:
        snapshot_download(
            hub_id, revision=revision, local_dir=folder, allow_patterns=WANTED, ignore_patterns=UNWANTED
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise PartUnavailable(f"the hub gave no {hub_id}: {str(error).splitlines()[0]}") from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    if not any(folder.glob("**/*.safetensors")):
        raise PartUnavailable(f"the hub's {hub_id} has no safetensors")
