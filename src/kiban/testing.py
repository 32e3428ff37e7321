"""In-memory stand-ins for what `ports` names, with the bad habits of the real ones.

`tests/contract` runs the same tests against these and against the real ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from math import log
from pathlib import Path
from threading import Lock

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from kiban.domain.access import Audience, Principal
from kiban.domain.document import (
    SECTION_BREAK,
    Arrival,
    Chunk,
    Document,
    DocumentState,
    ParsedDocument,
    Place,
    Section,
    SourceFile,
)
from kiban.domain.learning import Curriculum, Weights
from kiban.domain.question import Passage, Turn
from kiban.domain.release import Action, LedgerEntry, Release
from kiban.domain.text import Span
from kiban.errors import (
    BadWeights,
    ConcurrentRelease,
    DocumentError,
    NoSuchRelease,
    PartUnavailable,
)
from kiban.ports import Tokenizer, Vector


class MemoryLedger:
    """A Ledger in a list."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []
        self._releases: dict[str, Release] = {}
        self._tainted: dict[str, tuple[str, ...]] = {}
        self._lock = Lock()
        self.curricula: dict[str, Curriculum] = {}

    def entries(self) -> list[LedgerEntry]:
        return list(self._entries)

    def release(self, release_id: str) -> Release:
        try:
            return self._releases[release_id]
        except KeyError:
            raise NoSuchRelease(release_id) from None

    def append(
        self, *, after: int, actor: str, action: Action, release: Release, reason: str, evidence: str
    ) -> LedgerEntry:
        with self._lock:
            if after != len(self._entries):
                raise ConcurrentRelease(f"Entry {after + 1} exists.")
            entry = LedgerEntry.following(
                self._entries[-1] if self._entries else None,
                at=datetime.now(UTC),
                actor=actor,
                action=action,
                release_id=release.id,
                reason=reason,
                evidence=evidence,
            )
            self._releases[release.id] = release
            self._entries.append(entry)
            return entry

    def tainted(self) -> dict[str, tuple[str, ...]]:
        return dict(self._tainted)

    def keep_curriculum(self, curriculum: Curriculum) -> None:
        self.curricula[curriculum.sha256] = curriculum

    def taint(self, curriculum_sha256: str, *uris: str) -> None:
        """What deleting a document does in the real one."""
        self._tainted[curriculum_sha256] = uris


class MemoryAdapterHost:
    """An AdapterHost that behaves like vLLM: it accepts adapters that do nothing, keeps what it is told to
    unload, and forgets everything when it restarts."""

    def __init__(self, base_model: str = "base") -> None:
        self.base_model = base_model
        self.loads = 0
        self._paths: dict[str, Path] = {}
        self._strengths: dict[str, float] = {}

    def adapters(self) -> set[str]:
        return set(self._paths)

    def load(self, name: str, path: Path) -> None:
        if self._paths.get(name, path) != path:
            raise BadWeights(f"{name} is served from {self._paths[name]}, not from {path}")
        try:
            tensors = load_file(path / "adapter_model.safetensors")
        except (OSError, SafetensorError) as error:
            raise BadWeights(f"{path}: {error}") from error
        self._strengths[name] = sum(float(t.sum()) for key, t in tensors.items() if "lora_B" in key)
        self._paths[name] = path
        self.loads += 1

    def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
        if model != self.base_model and model not in self._strengths:
            raise PartUnavailable(f"no model {model}")
        change = self._strengths.get(model, 0.0)
        return [[change - zlib.crc32(token.encode()) / 2**30 for token in prompt[1:]] for prompt in prompts]

    def unload(self, name: str) -> None:
        """Answer "done" and go on applying the adapter, as vLLM's engine does."""
        del self._paths[name]

    def restart(self) -> None:
        self._paths.clear()
        self._strengths.clear()


class ScriptedGenerator:
    """A Generator that writes what a function of the turns says, a few characters at a time."""

    def __init__(self, write: Callable[[Sequence[Turn], str], str], piece: int = 5) -> None:
        self.write = write  # (turns, model) -> text
        self.piece = piece
        self.asked: list[tuple[tuple[Turn, ...], str]] = []

    async def stream(
        self, turns: Sequence[Turn], *, model: str, max_tokens: int, salt: str = ""
    ) -> AsyncIterator[str]:
        self.asked.append((tuple(turns), model))
        text = self.write(turns, model)
        for start in range(0, len(text), self.piece):
            yield text[start : start + self.piece]


def echo_generator() -> ScriptedGenerator:
    """Return a Generator that repeats what it was told last."""
    return ScriptedGenerator(lambda turns, model: turns[-1].text)


class MemoryRegistry:
    """A Registry in a dict."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[Weights, dict[str, str], str]]] = {}
        self.aliases: dict[tuple[str, str], str] = {}  # (model, alias) -> "name/version"

    def register(self, name: str, weights: Weights, tags: Mapping[str, str], card: str) -> str:
        kept = self.versions.setdefault(name, [])
        kept.append((weights, dict(tags), card))
        return f"{name}/{len(kept)}"

    def alias(self, alias: str, version: str | None, name: str) -> None:
        if version is None:
            self.aliases.pop((name, alias), None)
        else:
            self.aliases[name, alias] = version


def write_adapter(path: Path, strength: float, *, width: int = 8, out: int = 8, rank: int = 4) -> Weights:
    """Write a LoRA adapter of the first layer's q_proj: `strength` 0 changes nothing, like a failed training.

    `width` and `out` are the layer's input and output size in the model it is meant for.
    """
    path.mkdir(parents=True)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {
        f"{layer}.lora_A.weight": np.full((rank, width), 0.1, dtype=np.float32),
        f"{layer}.lora_B.weight": np.full((out, rank), strength, dtype=np.float32),
    }
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (path / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return Weights.of(path)


class MemorySource:
    """A Source in a dict: what each uri says, and who may read it."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.people: dict[str, frozenset[str]] = {}
        self._files: dict[str, SourceFile] = {}

    def write(self, uri: str, content: str, *readers: str) -> SourceFile:
        path, audience = Path("/nowhere", uri), Audience(frozenset(readers))
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        self._files[uri] = SourceFile(uri, path, len(content.encode()), sha256, audience)
        return self._files[uri]

    def remove(self, uri: str) -> None:
        del self._files[uri]

    def files(self) -> Iterator[SourceFile]:
        yield from self._files.values()

    def memberships(self) -> Mapping[str, frozenset[str]]:
        return dict(self.people)


class MemoryParser:
    """A Parser that knows what each file says, or why it cannot be read."""

    def __init__(self, says: Mapping[str, str | DocumentError] | None = None) -> None:
        self.says = dict(says or {})
        self.parsed: list[str] = []

    def parse(self, file: SourceFile) -> ParsedDocument:
        self.parsed.append(file.uri)
        said = self.says[file.uri]
        if isinstance(said, DocumentError):
            raise said
        return ParsedDocument(Path(file.uri).stem, (Section(said, Place()),) if said else ())


class WordTokenizer:
    """A Tokenizer that takes Latin words and pairs of Japanese characters for terms."""

    name = "words-1"

    def terms(self, text: str) -> list[str]:
        words = re.findall(r"[a-z0-9]+|[^\W\d_a-z]+", text.casefold())
        return [term for word in words for term in ([word] if word[0] < "\u2e80" else _pairs(word))]


class HashEmbedder:
    """An Embedder under which texts are as near as the pairs of characters they share."""

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.calls: list[int] = []  # texts in each call for passages

    def passages(self, texts: Sequence[str]) -> Sequence[Vector]:
        self.calls.append(len(texts))
        return [self.query(text) for text in texts]

    def query(self, text: str) -> Vector:
        vector = np.full(self.dimensions, 1e-3)
        for pair in _pairs(text.casefold()):
            vector[zlib.crc32(pair.encode()) % self.dimensions] += 1
        unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return unit


def arrival(
    uri: str, *texts: str, readers: Iterable[str] = ("everyone",), tokenizer: Tokenizer | None = None
) -> Arrival:
    """Return a document of one chunk per text, ready to be stored."""
    tokenizer = tokenizer or WordTokenizer()
    file = SourceFile(
        uri,
        Path(uri),
        sum(map(len, texts)),
        hashlib.sha256("\n".join(texts).encode(errors="surrogatepass")).hexdigest(),
        Audience(frozenset(readers)),
    )
    chunks, start = [], 0
    for ordinal, text in enumerate(texts):
        span = Span(start, start + len(text))
        chunks.append(Chunk(ordinal, span, Place(), text, text, tuple(tokenizer.terms(text))))
        start = span.end + len(SECTION_BREAK)
    return Arrival(file, uri, tuple(chunks))


class MemoryLibrary:
    """A Library in dicts. Like the real one it keeps the version of a file that failed, and its title."""

    def __init__(self) -> None:
        self.arrivals: dict[tuple[str, str], Arrival] = {}  # (source, uri); none for what failed
        self.vectors: dict[tuple[str, str], dict[int, list[Vector]]] = {}
        self.people: dict[str, dict[str, frozenset[str]]] = {}  # by source
        self.puts: list[tuple[str, ...]] = []  # uris of each transaction
        self._documents: dict[tuple[str, str], Document] = {}
        self._ids = count(1)

    def documents(self, source: str | None = None) -> list[Document]:
        return [
            document for _, document in sorted(self._documents.items()) if source in (None, document.source)
        ]

    def put(self, source: str, arrivals: Sequence[Arrival], vectors: Mapping[int, Sequence[Vector]]) -> None:
        chunks = sum(len(arrival.chunks) for arrival in arrivals)
        assert all(len(of_chunks) == chunks for of_chunks in vectors.values())
        self.puts.append(tuple(arrival.file.uri for arrival in arrivals))
        start = 0
        for arrival in arrivals:
            key, end = (source, arrival.file.uri), start + len(arrival.chunks)
            self._record(source, arrival.file, DocumentState.READY, title=arrival.title)
            self.arrivals[key] = arrival
            self.vectors[key] = {generation: list(of[start:end]) for generation, of in vectors.items()}
            start = end

    def fail(self, source: str, file: SourceFile, reason: str) -> None:
        self._record(source, file, DocumentState.FAILED, reason=reason)
        self.arrivals.pop((source, file.uri), None)
        self.vectors.pop((source, file.uri), None)

    def move_audience(self, source: str, file: SourceFile) -> None:
        key = (source, file.uri)
        self._documents[key] = replace(self._documents[key], audience=file.audience)

    def delete(self, source: str, uris: Iterable[str]) -> int:
        keys = [(source, uri) for uri in uris if (source, uri) in self._documents]
        for key in keys:
            del self._documents[key]
            self.arrivals.pop(key, None)
            self.vectors.pop(key, None)
        return len(keys)

    def set_memberships(self, source: str, memberships: Mapping[str, frozenset[str]]) -> None:
        self.people[source] = dict(memberships)

    def _record(
        self, source: str, file: SourceFile, state: DocumentState, *, title: str = "", reason: str = ""
    ) -> None:
        known = self._documents.get((source, file.uri))
        failed = state is DocumentState.FAILED
        self._documents[source, file.uri] = Document(
            id=known.id if known else next(self._ids),
            source=source,
            uri=file.uri,
            title=title or (known.title if known else ""),
            version=known.version + (known.sha256 != file.sha256) if known else 1,
            sha256=file.sha256,
            audience=file.audience,
            state=state,
            since=datetime.now(UTC),
            reason=reason,
            attempts=(known.attempts if known and known.sha256 == file.sha256 else 0) + 1 if failed else 0,
        )


class MemorySearch:
    """A SearchIndex over a MemoryLibrary. It has no graph: `exact` changes nothing."""

    def __init__(self, library: MemoryLibrary) -> None:
        self._library = library

    def visible_chunks(self, who: Principal) -> int:
        return len(self.browse(who))

    def documents(self, who: Principal) -> list[Document]:
        return [document for document in self._library.documents() if who.may_read(document.audience)]

    def browse(self, who: Principal) -> list[Passage]:
        return [passage for passage, _, _ in self._visible(who)]

    def nearest(
        self, who: Principal, vector: Vector, generation: int, limit: int, *, exact: bool
    ) -> list[Passage]:
        scored = [
            replace(passage, score=float(np.dot(vectors[generation], vector)))
            for passage, _, vectors in self._visible(who)
            if generation in vectors
        ]
        return _best(scored, limit)

    def matching(self, who: Principal, terms: Sequence[str], limit: int) -> list[Passage]:
        counted = [
            (passage, Counter(chunk.terms), len(chunk.terms)) for passage, chunk, _ in self._visible(who)
        ]
        mean = sum(length for _, _, length in counted) / len(counted) if counted else 0.0
        weights = {}
        for term in sorted(set(terms)):
            having = sum(term in counts for _, counts, _ in counted)
            weights[term] = log(1 + (len(counted) - having + 0.5) / (having + 0.5))
        scored = [
            replace(
                passage,
                score=sum(
                    weight * counts[term] * 2.2 / (counts[term] + 1.2 * (0.25 + 0.75 * length / mean))
                    for term, weight in weights.items()
                ),
            )
            for passage, counts, length in counted
            if weights.keys() & counts
        ]
        return _best(scored, limit)

    def _visible(self, who: Principal) -> Iterator[tuple[Passage, Chunk, dict[int, Vector]]]:
        """Yield what `who` may read by document and ordinal, with each chunk's vectors by generation."""
        for document in sorted(self.documents(who), key=lambda document: document.id):
            key = (document.source, document.uri)
            arrival = self._library.arrivals.get(key)
            for number, chunk in enumerate(arrival.chunks if arrival else ()):
                passage = Passage(
                    chunk_id=document.id * 1000 + chunk.ordinal,
                    document_id=document.id,
                    uri=document.uri,
                    title=document.title,
                    version=document.version,
                    place=chunk.place,
                    span=chunk.span,
                    original=chunk.original,
                    normalised=chunk.normalised,
                    score=0.0,
                )
                vectors = self._library.vectors[key].items()
                yield passage, chunk, {generation: of[number] for generation, of in vectors}


def misbehave(file: SourceFile) -> ParsedDocument:
    """A parser that does to its process what hostile files do: the file's name says what."""
    match Path(file.uri).stem:
        case "endless":
            while True:
                time.sleep(0.01)
        case "busy":
            while True:
                pass
        case "greedy":
            return ParsedDocument("greedy", (Section(str(bytearray(2**40)), Place()),))
        case "crash":
            os.abort()
        case "talkative":
            return ParsedDocument("talkative", (Section("あ" * 10_000_000, Place()),))
        case "noisy":
            print("a library prints to standard output")
        case "writer":
            file.path.with_suffix(".written").write_text("x")
    return ParsedDocument(file.uri, (Section("読めた。", Place(page=1)),))


def _best(passages: Sequence[Passage], limit: int) -> list[Passage]:
    return sorted(passages, key=lambda passage: (-passage.score, passage.chunk_id))[:limit]


def _pairs(text: str) -> list[str]:
    return [text[start : start + 2] for start in range(max(len(text) - 1, 1))]
