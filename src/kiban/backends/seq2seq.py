"""A T5-class model that turns one text into another, by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from kiban.errors import BadWeights

TOGETHER = 8  # texts at once
LONGEST = 64  # tokens written


class SequenceModel:
    """An encoder with a decoder from a folder of safetensors; no code of the folder's is run."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """Raises BadWeights for a folder that is no such model."""
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            self._model = AutoModelForSeq2SeqLM.from_pretrained(
                path, local_files_only=True, use_safetensors=True, trust_remote_code=False
            ).to(device)
        except (OSError, ValueError) as error:
            raise BadWeights(f"{path} is not a sequence-to-sequence model: {error}") from error
        self._model.eval()

    def complete(self, texts: Sequence[str]) -> list[str]:
        """Return what the model makes of each text, greedily decoded: equal texts give equal answers."""
        made: list[str] = []
        for start in range(0, len(texts), TOGETHER):
            given = self._tokenizer(
                list(texts[start : start + TOGETHER]), padding=True, return_tensors="pt"
            ).to(self._model.device)
            with torch.inference_mode():
                written = self._model.generate(
                    input_ids=given["input_ids"],
                    attention_mask=given["attention_mask"],
                    max_new_tokens=LONGEST,
                    do_sample=False,
                    num_beams=1,
                )
            made += self._tokenizer.batch_decode(written, skip_special_tokens=True)
        return made
