"""A library whose documents are cut two ways, each with a generation of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.cuts import PostgresCuts
from kiban.backends.postgres.generations import PostgresGenerations
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import EVERYONE
from kiban.domain.document import Arrival, Chunk, EmbeddedPicture, ParsedDocument, Picture, Place, Section
from kiban.ingest import chunking, sensitive
from kiban.ingest.chunking import STANDARD, Chunking
from kiban.ports import Tokenizer
from kiban.testing import HashEmbedder, PatternDetector, WordTokenizer, arrival
from kiban.wiring.generations import cut_again, fill

OLD, NEW, DETECTOR = HashEmbedder(32), HashEmbedder(64), PatternDetector()
SHORT = Chunking(20, 30)
AUDIENCES = [[EVERYONE], ["lab"], ["hr"], []]
SENTENCES = [
    "the pump needs oil. ",
    "a valve of the pump. ",
    "有給休暇の日数。",
    "出張の旅費。\n",
    "090-1234-5678 ",
]


class LetterTokenizer:
    """A Tokenizer under which every letter is a term."""

    name = "letters-1"

    def terms(self, text: str) -> list[str]:
        return [letter for letter in text if letter.isalnum()]


class TwoCuts:
    """A library of two cuts, each with one generation."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.library, self.cuts = PostgresLibrary(postgres), PostgresCuts(postgres)
        self.known = PostgresGenerations(postgres)
        self.old = self.library.add_generation("old", "old", 32, "words-1", STANDARD.name)
        self.new: int | None = None

    def begin(self) -> int:
        self.new = self.library.add_generation("new", "new", 64, "letters-1", SHORT.name)
        return self.new

    def put(self, *parsed: tuple[ParsedDocument, Sequence[str]], both: bool = True) -> None:
        """Store documents with their readers, in both cuts, or as a worker who knows only the old one."""
        ways = [(STANDARD, WordTokenizer(), self.old, OLD)]
        if self.new is not None and both:
            ways.append((SHORT, LetterTokenizer(), self.new, NEW))
        arrivals: list[Arrival] = []
        vectors = {}
        for how, tokenizer, generation, embedder in ways:
            cut = self.known.cut_of(generation).id
            mine = [cut_as(document, readers, how, tokenizer, cut) for document, readers in parsed]
            arrivals += mine
            vectors[generation] = embedder.passages([c.normalised for one in mine for c in one.chunks])
        self.library.put("files", arrivals, vectors)

    def build(self) -> None:
        new = self.begin()
        cut_again(self.cuts, self.known.cut_of(new).id, LetterTokenizer(), SHORT, DETECTOR)
        fill(self.library, new, Plain())

    def search(self, generation: int | None = None) -> PostgresSearch:
        return PostgresSearch(self.postgres, self.known.cut_of(generation or self.old).id)


class Plain(HashEmbedder):
    """The new embedder as `put` asks it: of the text alone."""

    def __init__(self) -> None:
        super().__init__(64)

    def passages(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return super().passages([text.split("\n", 1)[1] for text in texts])


def cut_as(
    parsed: ParsedDocument, readers: Sequence[str], how: Chunking, tokenizer: Tokenizer, cut: int
) -> Arrival:
    chunks = sensitive.mark(parsed, chunking.cut(parsed, tokenizer, how), DETECTOR)
    picture = EmbeddedPicture(
        Picture(10, 1, 1, b"rgb", "図"), _around(10, chunks), "colours", (1.0, 0.0, 0.0)
    )
    file = arrival(parsed.title, parsed.text, readers=readers).file
    return Arrival(file, parsed.title, chunks, (picture,), cut)


def _around(at: int, chunks: Sequence[Chunk]) -> int:
    return next(chunk.ordinal for chunk in chunks if at < chunk.span.end)


def document(chance: random.Random, title: str) -> tuple[ParsedDocument, Sequence[str]]:
    texts = ["".join(chance.choices(SENTENCES, k=chance.randint(2, 40))) for _ in range(chance.randint(1, 3))]
    sections = tuple(Section(text, Place(heading=chance.choice("甲乙"))) for text in texts)
    return ParsedDocument(title, sections), chance.choice(AUDIENCES)
