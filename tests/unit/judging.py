"""Questions and answers for the tests of the judge."""

from __future__ import annotations

import numpy as np

from kiban.domain.access import EVERYONE, Audience
from kiban.domain.document import Place
from kiban.domain.evidence import Arm, Scored
from kiban.domain.learning import Lineage, Question
from kiban.domain.question import Answer, Citation, Passage
from kiban.domain.text import Span
from kiban.judge.measures import score

ALL = Audience(frozenset({EVERYONE}))


def question(gold: str = "12日", document: int = 1, text: str = "有給休暇は何日ですか。") -> Question:
    quote = f"有給休暇は{gold}とする。" if gold else ""
    lineage = Lineage(document, f"rules-{document}.md", 1, "0" * 64)
    return Question(text, gold, quote, document * 100, Span(0, len(quote)), lineage, ALL)


def passage(document: int = 1, text: str = "有給休暇は12日とする。", chunk: int | None = None) -> Passage:
    chunk = document * 100 if chunk is None else chunk
    span = Span(0, len(text))
    return Passage(chunk, document, f"rules-{document}.md", "規則", 1, Place(), span, text, text, 1.0)


def answer(text: str, quote: str = "", document: int = 1, *, abstained: bool = False) -> Answer:
    cited = passage(document, quote)
    citations = (Citation(1, cited, quote, cited.span),) if quote else ()
    return Answer(text, citations, (cited,) if quote else (), abstained, "release", raw=text)


RIGHT_AND_CITED = answer("「有給休暇は12日とする。」[1]", "有給休暇は12日とする。")
RIGHT = answer("12日です。")
WRONG = answer("20日です。")
ABSTAINED = answer("資料に記載なし", abstained=True)


def scored_arms(
    base: dict[str, float],
    adapted: dict[str, float],
    *,
    answerable: int = 30,
    unanswerable: int = 10,
    documents: int = 12,
    seconds: tuple[float, float] = (1.0, 1.0),
    seed: int = 0,
) -> list[Scored]:
    """Draw the answers of base+RAG and adapted+RAG, each with its shares of `cited` (and right), `right`
    without citation, `over` (abstained wrongly), and `abstained` (rightly).

    Half of the questions are easy or hard for both arms alike.
    """
    rng = np.random.default_rng(seed)

    def draw(arm: Arm, shares: dict[str, float], asked: Question, luck: float) -> Scored:
        took = seconds[arm is Arm.ADAPTED_RAG] * rng.uniform(0.8, 1.2)
        if not asked.answerable:
            return score(asked, arm, ABSTAINED if luck < shares["abstained"] else WRONG, took)
        document = asked.lineage.document_id
        steps = (
            (shares["cited"], answer("12日です。", "有給休暇は12日とする。", document)),
            (shares["right"], RIGHT),
            (shares["over"], ABSTAINED),
        )
        for share, given in steps:
            if luck < share:
                return score(asked, arm, given, took)
            luck -= share
        return score(asked, arm, WRONG, took)

    asked = [question(document=n % documents, text=f"問{n}") for n in range(answerable)]
    asked += [question("", document=n % documents, text=f"無{n}") for n in range(unanswerable)]
    shares = {Arm.BASE_RAG: base, Arm.ADAPTED_RAG: adapted}
    scored = []
    for each in asked:
        lucks = [rng.random()] * 2 if rng.random() < 0.5 else list(rng.random(2))
        scored += [draw(arm, shares[arm], each, luck) for arm, luck in zip(shares, lucks, strict=True)]
    return scored
