"""TrainingExample → Curriculum → Candidate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from kiban.domain.access import ALL, Audience
from kiban.domain.question import Turn
from kiban.domain.sensitive import Finding
from kiban.domain.text import Span
from kiban.errors import BadWeights, MixedAudience


@dataclass(frozen=True, slots=True)
class Lineage:
    """One document version that was used to make something."""

    document_id: int
    uri: str
    version: int
    sha256: str


class QuestionKind(StrEnum):
    """How somebody looks for something."""

    QUESTION = "question"
    KEYWORD = "keyword"
    CLAIM = "claim"  # a statement for which evidence is wanted
    COLLOQUIAL = "colloquial"


@dataclass(frozen=True, slots=True)
class Author:
    """What put a question into words."""

    name: str = ""  # rules, or a model by name and content; "" for a person, or not kept
    prompt_sha256: str = ""  # of what a model was told beside the fact; "" for rules


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose answer is known: made from a chunk, used to train or to judge, never both."""

    text: str
    gold: str  # the value a right answer contains; "" when the documents do not say
    quote: str  # the verbatim sentence that holds it; "" when the documents do not say
    chunk_id: int
    span: Span  # of `quote` in the document's text
    lineage: Lineage
    audience: Audience
    kind: QuestionKind = QuestionKind.QUESTION
    author: Author = Author()

    @property
    def answerable(self) -> bool:
        return bool(self.gold)


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What was taken out of a chunk before it became training text."""

    chunk_id: int
    findings: tuple[Finding, ...]  # in the chunk's text as it is stored


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """What the model is shown and what it should say, with everything it was made from."""

    question: Question
    prompt: tuple[Turn, ...]  # the serving prompt, passages included
    target: str
    lineage: tuple[Lineage, ...]  # gold and distractors
    audience: Audience  # the meet of the audiences of all of them
    scrubbed: tuple[Scrubbed, ...] = ()
    teacher: Author = Author()  # the model that wrote the target; unset: the house's own form


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A question, the passage that answers it, and passages that look alike but do not."""

    question: str
    passage: str
    negatives: tuple[str, ...]
    lineage: tuple[Lineage, ...]
    audience: Audience
    scrubbed: tuple[Scrubbed, ...] = ()
    kind: QuestionKind = QuestionKind.QUESTION
    author: Author = Author()


@dataclass(frozen=True, slots=True)
class Preference:
    """An answer that people wanted, or did not want, where the model was shown this."""

    prompt: tuple[Turn, ...]
    answer: str
    desirable: bool
    lineage: tuple[Lineage, ...]
    audience: Audience  # the meet of the audiences of all that was shown


@dataclass(frozen=True, slots=True)
class TrainingText:
    """A piece of a document, to be read as it stands."""

    text: str
    lineage: tuple[Lineage, ...]
    audience: Audience
    scrubbed: tuple[Scrubbed, ...] = ()


@dataclass(frozen=True, slots=True)
class Curriculum:
    """An immutable list of examples for one audience."""

    audience: Audience
    examples: tuple[TrainingExample, ...]
    pairs: tuple[TrainingPair, ...]
    prompt_version: str
    seed: int
    preferences: tuple[Preference, ...] = ()
    texts: tuple[TrainingText, ...] = ()  # to be read before anything else is learnt

    def __post_init__(self) -> None:
        self.require_one_audience()

    def require_one_audience(self) -> None:
        """Raise MixedAudience unless everyone in the zone may read everything that is learnt from."""
        made = [(example.lineage, example.audience) for example in self.examples]
        made += [((example.question.lineage,), example.question.audience) for example in self.examples]
        made += [(pair.lineage, pair.audience) for pair in self.pairs]
        made += [(one.lineage, one.audience) for one in self.preferences]
        made += [(one.lineage, one.audience) for one in self.texts]
        for lineage, audience in made:
            if not audience.covers(self.audience):
                sources = ", ".join(document.uri for document in lineage)
                raise MixedAudience(f"Made from {sources}, for {sorted(audience.groups) or 'nobody'}.")

    @property
    def sha256(self) -> str:
        """Return the hash of the content, which is the curriculum's name."""
        content = asdict(self)
        for name in ("preferences", "texts"):
            if not content[name]:
                del content[name]
        nobody = asdict(Author())
        unset = {
            "kind": QuestionKind.QUESTION,
            "author": nobody,
            "teacher": nobody,
            "calls": (),
            "result_of": "",
        }
        examples, pairs = content["examples"], content["pairs"]
        questions = (example["question"] for example in examples)
        turns = (turn for shown in (*examples, *content.get("preferences", ())) for turn in shown["prompt"])
        for made in (*examples, *questions, *pairs, *turns):
            for name, value in unset.items():
                if made.get(name) == value:  # since curricula have names: unset, it changes none
                    del made[name]
        return hashlib.sha256(
            json.dumps(content, sort_keys=True, ensure_ascii=False, default=sorted).encode()
        ).hexdigest()

    @property
    def lineage(self) -> tuple[Lineage, ...]:
        """Return every document version the weights will have seen, once each."""
        seen = {document for example in self.examples for document in example.lineage}
        seen |= {document for pair in self.pairs for document in pair.lineage}
        seen |= {document for one in self.preferences for document in one.lineage}
        seen |= {document for one in self.texts for document in one.lineage}
        return tuple(sorted(seen, key=lambda document: document.document_id))


class EveryonesPairs(tuple[TrainingPair, ...]):
    """Pairs that everyone may read: what models learn from that serve all zones at once, embedder and
    reranker. There is one of each for everybody, so one restricted pair would be carried to everybody.

    Raises MixedAudience for any other pair.
    """

    __slots__ = ()

    def __new__(cls, pairs: Iterable[TrainingPair] = ()) -> Self:
        made = super().__new__(cls, pairs)
        for pair in made:
            if not pair.audience.is_everyone:
                sources = ", ".join(document.uri for document in pair.lineage)
                raise MixedAudience(f"Made from {sources}, for {pair.audience}; it would serve everyone.")
        return made

    @classmethod
    def of(cls, curriculum: Curriculum) -> Self:
        """Return the pairs of a curriculum for everyone. Raises MixedAudience for that of a smaller zone."""
        if not curriculum.audience.is_everyone:
            raise MixedAudience(f"The curriculum is for {curriculum.audience}; it would serve everyone.")
        return cls(curriculum.pairs)


@dataclass(frozen=True, slots=True)
class Zone:
    """How one zone stands."""

    audience: Audience
    documents: int  # that can be read
    large: bool  # enough for an adapter of its own
    adapter: str | None  # the one in force; without it, everyone's answers, or the base model


NOT_WEIGHTS = frozenset({"kiban.json", "README.md"})  # notes beside the weights


@dataclass(frozen=True, slots=True)
class Weights:
    """A plain directory of safetensors and JSON, named by the hash of its content."""

    path: Path
    sha256: str

    @property
    def bytes(self) -> int:
        """Return how large they are on disk, without the notes beside them."""
        files = (entry for entry in self.path.rglob("*") if entry.is_file() and entry.name not in NOT_WEIGHTS)
        return sum(entry.stat().st_size for entry in files)

    @classmethod
    def of(cls, path: Path) -> Weights:
        """Name a directory by its content: sha256 over sorted relative names and file hashes.

        Notes beside the weights (kiban.json, README.md) do not count.
        Raises BadWeights for a missing or empty directory, and for links, which could change unseen.
        """
        if not path.is_dir():
            raise BadWeights(f"{path} is not a directory")
        entries = {entry.relative_to(path).as_posix(): entry for entry in path.rglob("*")}
        if links := sorted(name for name, entry in entries.items() if entry.is_symlink()):
            raise BadWeights(f"{path} holds a link: {links[0]}")
        names = sorted(name for name, entry in entries.items() if entry.is_file() and name not in NOT_WEIGHTS)
        if not names:
            raise BadWeights(f"{path} holds no file")
        whole = hashlib.sha256()
        for name in names:
            with entries[name].open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            whole.update(f"{name}\0{digest}\n".encode())
        return cls(path, whole.hexdigest())


@dataclass(frozen=True, slots=True)
class Stage:
    """What one step on the way to a curriculum was given, kept and turned away."""

    name: str
    given: int
    kept: int
    turned_away: Mapping[str, int] = field(default_factory=dict)  # by rule


@dataclass(frozen=True, slots=True)
class Cost:
    """What a training took, over all the runs it was interrupted into."""

    seconds: float = 0.0
    peak_bytes: int = 0  # of the process that trained, resident; on a GPU, of its memory
    joules: float | None = 0.0  # of the processors or the GPU; None where the machine does not say

    def plus(self, more: Cost) -> Cost:
        joules = None if self.joules is None or more.joules is None else self.joules + more.joules
        return Cost(self.seconds + more.seconds, max(self.peak_bytes, more.peak_bytes), joules)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Weights awaiting judgement."""

    id: str
    curriculum_sha256: str
    lineage: tuple[Lineage, ...]
    adapter: Weights | None
    embedder: Weights | None
    generation: int | None  # the index generation built with `embedder`
    registered: Sequence[str] = ()  # model versions in the registry, "name/version"
    reranker: Weights | None = None
    costs: Mapping[str, Cost] = field(default_factory=dict)  # by part: "adapter", "embedder", …
    audience: Audience = ALL  # of the zone it was trained for
    trained_on: str = ""  # the hash of the base model; "" for who was made before it was kept
    llm: Weights | None = None  # another base model, alone: what is learnt belongs to one base
