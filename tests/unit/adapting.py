"""A small shelf of documents, and the other rooms' part, for the tests of the room that adapts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from kiban.adapt.curriculum import Classroom, build
from kiban.adapt.facts import Fact
from kiban.adapt.questions import make_questions
from kiban.adapt.writers import TemplateWriter
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.document import Document, DocumentState, Place
from kiban.domain.learning import Author, Curriculum, Question, QuestionKind
from kiban.domain.question import Passage, Turn
from kiban.domain.text import Span

ALL = Audience(frozenset({EVERYONE}))
TOPICS = (
    "寮費",
    "日当",
    "通勤手当",
    "宿泊費",
    "駐車料金",
    "教材費",
    "見舞金",
    "家賃補助",
    "会食費",
    "図書費",
)


def document(number: int, audience: Audience = ALL) -> Document:
    return Document(
        number, "folder", f"rules-{number}.md", f"規程{number}", 1, f"{number:064x}", audience,
        DocumentState.READY, datetime(2026, 11, 22, tzinfo=UTC),
    )  # fmt: skip


def passage(number: int, text: str, *, chunk: int | None = None, start: int = 0) -> Passage:
    span = Span(start, start + len(text))
    place = Place(heading="第1条")
    chunk = number if chunk is None else chunk
    return Passage(chunk, number, f"rules-{number}.md", f"規程{number}", 1, place, span, text, text, 0.5)


def shelf(audience: Audience = ALL) -> tuple[list[Document], list[Passage]]:
    """Ten documents with one fact each, all different."""
    documents = [document(number, audience) for number in range(1, 11)]
    passages = [
        passage(number, f"{topic}は月額{number}2,{number}00円とする。", start=40)
        for number, topic in enumerate(TOPICS, start=1)
    ]
    return documents, passages


class Finder:
    """A retriever that puts the passage with the question's topic first, then all others."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages

    def __call__(self, question: str) -> Sequence[Passage]:
        return sorted(self.passages, key=lambda passage: passage.original.split("は")[0] not in question)


class Says:
    """A writer that says the same of every fact."""

    author = Author("says")

    def __init__(self, text: str) -> None:
        self.text = text

    def write(self, facts: Sequence[Fact], kind: QuestionKind) -> Sequence[str]:
        return [self.text] * len(facts)


def render(question: str, passages: Sequence[Passage]) -> tuple[Turn, ...]:
    numbered = [f"[{number}] {passage.original}" for number, passage in enumerate(passages, start=1)]
    return Turn("system", "資料から答える。"), Turn("user", "\n".join([*numbered, question]))


def target(short: str, quote: str, number: int, language: str) -> str:
    return f"{short}「{quote}」[{number}]"


def abstention(language: str) -> str:
    return {"ja": "資料にありません。", "en": "The documents do not say."}[language]


def questions() -> tuple[Question, ...]:
    documents, passages = shelf()
    return make_questions(passages, documents, writer=TemplateWriter(), find=Finder(passages))[0]


def classroom(documents: Sequence[Document], passages: Sequence[Passage]) -> Classroom:
    by_id = {document.id: document for document in documents}
    return Classroom(Finder(passages), render, target, abstention, by_id)


def curriculum(limit: int = 10, seed: int = 1) -> Curriculum:
    lent = classroom(*shelf())
    return build(questions(), lent, audience=ALL, prompt_version="1", limit=limit, seed=seed)
