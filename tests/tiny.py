"""A language model small enough to train in a second."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import T5Config, T5ForConditionalGeneration

from kiban.testing.tiny import VOCABULARY, make_tiny_model, write_tokenizer

__all__ = ["make_tiny_model", "make_tiny_t5"]


def make_tiny_t5(folder: Path) -> Path:
    """Write a T5 of about 30,000 parameters, with its tokenizer."""
    torch.manual_seed(0)
    write_tokenizer(folder)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4,
        decoder_start_token_id=0, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder
