"""The company that is attacked: 12 groups, 40 people, and ten facts for each group that only it may read."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.schema import migrate
from kiban.backends.postgres.search import PostgresSearch
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Arrival, Chunk, Place, SourceFile
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.ports import Embedder, Tokenizer, Vector
from kiban.retrieve.search import find

GROUPS = [f"group{number:02}" for number in range(12)]
FACTS = 10  # of each group
DOCUMENTS = 20_000
COLOURS = ["青い", "赤い", "黒い", "白い", "緑の"]
WORDS = (
    "規程 申請 承認 出張 休暇 賃金 契約 監査 点検 故障 部品 見積 納期 在庫 品質 会議 研修 人事 "
    "policy invoice pump valve audit salary contract travel leave budget schedule warranty supplier"
).split()
GRAPH_CHUNKS = 100  # so that small stages have graphs as well
LANES = ("exact", "graph", "lexical", "fused")


@dataclass(frozen=True, slots=True)
class Fact:
    """A planted sentence with a code that stands nowhere else."""

    question: str
    text: str
    code: str
    audience: Audience


@dataclass(frozen=True)
class Company:
    """A filled library, and the people who ask."""

    postgres: Postgres
    library: PostgresLibrary
    search: PostgresSearch
    tokenizer: Tokenizer
    embedder: Embedder
    generation: int
    people: list[Principal]
    facts: list[Fact]

    def ask(self, lane: str, who: Principal, question: str, limit: int = 20) -> list[Passage]:
        """Return what a person gets in one lane."""
        if lane == "lexical":
            return self.search.matching(who, self.tokenizer.terms(question), limit)
        if lane in ("exact", "graph"):
            return self.near(who, self.embedder.query(question), limit, exact=lane == "exact")
        return find(
            question,
            who,
            index=self.search,
            tokenizer=self.tokenizer,
            embedder=self.embedder,
            generation=self.generation,
            limit=limit,
            exact_limit=0,
        )

    def near(self, who: Principal, vector: Vector, limit: int = 20, *, exact: bool) -> list[Passage]:
        return self.search.nearest(who, vector, self.generation, limit, exact=exact)

    def put(
        self, name: str, texts: Sequence[str], audience: Audience, vectors: Sequence[Vector] = ()
    ) -> None:
        """Store one document of one chunk per text."""
        arrived = _document(name, texts, audience, self.tokenizer)
        vectors = vectors or self.embedder.passages(texts)
        self.library.put("attacks", [arrived], {self.generation: vectors})

    def forbidden(self, who: Principal, passages: Sequence[Passage]) -> int:
        """Count passages that hold a fact this person may not read."""
        codes = [fact.code for fact in self.facts if not who.may_read(fact.audience)]
        return sum(any(code in passage.original for code in codes) for passage in passages)


def company(stage: Stage) -> Company:
    """Return the stage's company, founding it when it is first asked for."""
    return stage.once(_found)


def _found(stage: Stage) -> Company:
    server = stage.postgres
    migrate(server.dsn("postgres"), server.passwords)
    postgres = Postgres(
        server.dsn("kiban_writer"), server.dsn("kiban_reader"), admin_dsn=server.dsn("postgres")
    )
    stage.at_end(postgres.close)
    library, chance = PostgresLibrary(postgres), random.Random(7)
    embedder, tokenizer = stage.embedder, stage.tokenizer
    generation = library.add_generation("attacks", "attacks", embedder.dimensions, tokenizer.name, "whole")
    people = [
        Principal(f"person{number:02}", frozenset(chance.sample(GROUPS, number % 4))) for number in range(40)
    ]
    founded = Company(
        postgres, library, PostgresSearch(postgres), tokenizer, embedder, generation, people, _facts(chance)
    )
    for fact in founded.facts:
        founded.put(f"fact {fact.code}", [fact.text], fact.audience)
    for number in range(stage.size(DOCUMENTS, 400) // 20):
        readers = frozenset({chance.choice([EVERYONE, *GROUPS])})
        founded.put(f"{number}.md", [sentence(chance) for _ in range(20)], Audience(readers))
    library.tend_index(GRAPH_CHUNKS)
    return founded


def sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(5, 20)))


def _facts(chance: random.Random) -> list[Fact]:
    facts = []
    for group in GROUPS:
        for number in range(FACTS):
            code = f"7q{number}-{hashlib.sha256(f'{group} {number}'.encode()).hexdigest()[:8]}"
            colour, topic = chance.choice(COLOURS), chance.choice(WORDS)
            facts.append(
                Fact(
                    f"{group}の{colour}バインダー{number}({topic})の番号は何ですか",
                    f"{group}の{colour}バインダー{number}({topic})の番号は{code}です。",
                    code,
                    Audience(frozenset({group})),
                )
            )
    return facts


def _document(name: str, texts: Sequence[str], audience: Audience, tokenizer: Tokenizer) -> Arrival:
    chunks, start = [], 0
    for ordinal, text in enumerate(texts):
        span = Span(start, start + len(text))
        start = span.end + 2
        chunks.append(Chunk(ordinal, span, Place(), text, text, tuple(tokenizer.terms(text))))
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    return Arrival(SourceFile(name, Path(name), start, digest, audience), name, tuple(chunks))
