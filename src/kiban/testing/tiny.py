"""Models small enough to train in a second: random weights, one token per byte."""

from __future__ import annotations

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCABULARY = len(SPECIAL) + 256


def make_tiny_model(folder: Path) -> Path:
    """Write a Qwen2 of about 60,000 parameters, with its tokenizer and chat template."""
    torch.manual_seed(0)
    write_tokenizer(folder)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)  # type: ignore[arg-type]
    return folder


def make_tiny_encoder(folder: Path) -> Path:
    """Write an embedder of 32 dimensions in the sentence-transformers format."""
    torch.manual_seed(0)
    plain = folder.with_name(f"{folder.name}-plain")
    write_tokenizer(plain)
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=1024, pad_token_id=0,
    )  # fmt: skip
    BertModel(config).save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=512)
    pooling = Pooling(transformer.get_embedding_dimension(), "mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save_pretrained(str(folder))
    return folder


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of one token per byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=SPECIAL[2], pad_token=SPECIAL[0])  # type: ignore[no-untyped-call]
    wrapped.add_special_tokens({"additional_special_tokens": [SPECIAL[1]]})
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)
