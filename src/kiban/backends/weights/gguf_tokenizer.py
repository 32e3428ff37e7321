"""The byte-level BPE tokenizer inside a GGUF file → tokenizer.json, as its makers published it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from kiban.errors import BadWeights

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # token types; others are padding
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def save(fields: Mapping[str, Any], out: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja. Raises BadWeights."""
    if fields["tokenizer.ggml.model"] != "gpt2":
        raise BadWeights(f"Tokenizer {fields['tokenizer.ggml.model']} is not byte-level BPE.")
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    _tokenizer(fields, tokens).save(str(out / "tokenizer.json"))
    (out / "chat_template.jinja").write_text(fields["tokenizer.chat_template"], encoding="utf-8")
    settings = {
        # Generic on purpose: a model's own class would rebuild the cutting rules and lose some.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": fields[f"{fields['general.architecture']}.context_length"],
        "clean_up_tokenization_spaces": False,
        "eos_token": tokens[fields["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[fields["tokenizer.ggml.padding_token_id"]],
    }
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _tokenizer(fields: Mapping[str, Any], tokens: list[str]) -> Tokenizer:
    types: list[int] = fields["tokenizer.ggml.token_type"]
    added = [
        AddedToken(token, special=kind == CONTROL, normalized=False)
        for token, kind in zip(tokens, types, strict=True)
        if kind in (CONTROL, USER_DEFINED)
    ]
    real = {NORMAL, CONTROL, USER_DEFINED}
    vocabulary = {token: n for n, token in enumerate(tokens) if types[n] in real}
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    _cut_words(tokenizer, fields["tokenizer.ggml.pre"])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(added)
    return tokenizer


def _cut_words(tokenizer: Tokenizer, rule: str) -> None:
    """Set the normaliser and pre-tokenizer, which GGUF only names."""
    cut: list[pre_tokenizers.PreTokenizer]
    if rule == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        words = pre_tokenizers.Split(Regex(QWEN_WORDS), behavior="isolated")
        cut = [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    elif rule == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        cut = [digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    else:
        raise BadWeights(f"Pre-tokenizer {rule} is not known.")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cut)
