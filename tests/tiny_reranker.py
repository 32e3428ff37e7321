"""A cross-encoder, and an encoder that one can be made of, small enough to train in a second."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "pump", "valve", "oil", "leave", "days"]


def make_cross_encoder(folder: Path, labels: int = 1) -> Path:
    return _make(folder, BertForSequenceClassification, labels)


def make_encoder(folder: Path) -> Path:
    """Write what an embedder's folder holds of its transformer: two layers, and no head."""
    return _make(folder, BertModel)


def _make(folder: Path, kind: type[PreTrainedModel], labels: int = 1) -> Path:
    torch.manual_seed(3)
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
        num_labels=labels,
    )
    kind(config).save_pretrained(folder)
    return folder
