"""What the model is asked, and the form in which it should answer.

The worked example is a conversation of its own before the question: of eleven wordings tried on the base
model this one did best, and as it never changes, vLLM computes it only once (prefix caching).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kiban.answer.wording import PROMPT_VERSION, WORDINGS, Language, Wording, language
from kiban.domain.document import Place
from kiban.domain.question import Passage, Turn

__all__ = ["PROMPT_VERSION", "Language", "abstention", "is_abstention", "language", "render", "target"]

REMEMBERED_TURNS = 4  # of what was said before
REMEMBERED_CHARACTERS = 600  # of each such turn


def render(
    question: str, passages: Sequence[Passage], history: Sequence[Turn] = (), results: Sequence[str] = ()
) -> tuple[Turn, ...]:
    """Return the conversation to continue: instruction, worked example, what was said before, the question.

    Passages are quoted as data, numbered from 1, and so are `results` of the asker's tools, without a number.
    Without any passage (the closed-book arm) only a short instruction, what was said before, the results and
    the question are left.
    """
    wording = WORDINGS[language(question)]
    said = tuple(_remembered(history))
    returned = "".join(f"{_as_data(result.strip())}\n\n" for result in results)
    returned = f"{wording.results}{returned}" if returned else ""
    if not passages:
        return (Turn("system", wording.closed_book), *said, Turn("user", returned + _as_data(question)))
    asked = _asked(wording, "\n\n".join(_quoted(wording, passages)), question, returned)
    return (Turn("system", wording.system), *_example(wording), *said, asked)


def deciding(question: str, asked: Sequence[Turn], done: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the conversation in which tools are chosen: what the asker said, and what tools returned since
    the question."""
    said = (Turn("system", WORDINGS[language(question)].deciding), *_remembered(asked))
    results = (replace(turn, text=_as_data(turn.text)) for turn in done)
    return (*said, Turn("user", _as_data(question)), *results)


def target(short_answer: str, quote: str, number: int, language: Language) -> str:
    """Return what the model should have said: the answer, the verbatim sentence, its passage's number.

    Raises ValueError for a quote that holds every kind of quotation mark we know.
    """
    wording = WORDINGS[language]
    for opening, closing in wording.quotation_marks:
        if opening not in quote and closing not in quote:
            return f"{short_answer.strip()}{wording.between}{opening}{quote}{closing}[{number}]"
    raise ValueError(f"no quotation mark is left for {quote!r}")


def abstention(language: Language) -> str:
    """Return what the model should say when the passages do not hold the answer."""
    return WORDINGS[language].abstention


def is_abstention(text: str) -> bool:
    """Whether a text says, in our words or the usual others, that the documents do not hold the answer."""
    return any(wording.abstained.search(text) for wording in WORDINGS.values())


def place_words(place: Place, language: Language) -> str:
    """Return where a passage stands, e.g. "3ページ、第2章 > 宿泊費"; "" when the place is unknown."""
    wording = WORDINGS[language]
    return wording.comma.join(_place_parts(wording, place))


def _place_parts(wording: Wording, place: Place) -> Iterator[str]:
    if place.page is not None:
        yield wording.page.format(place.page)
    if place.sheet is not None:
        yield wording.sheet.format(place.sheet)
    if place.slide is not None:
        yield wording.slide.format(place.slide)
    if place.heading:
        yield place.heading


def _quoted(wording: Wording, passages: Sequence[Passage]) -> Iterator[str]:
    for number, passage in enumerate(passages, start=1):
        place = wording.comma.join(_place_parts(wording, passage.place))
        where = wording.brackets.format(place) if place else ""
        yield _as_data(f"[{number}] {passage.title}{where}\n{passage.original.strip()}")


def _example(wording: Wording) -> tuple[Turn, ...]:
    example = wording.example
    language: Language = "ja" if wording is WORDINGS["ja"] else "en"
    return (
        _asked(wording, example.documents, example.question),
        Turn("assistant", target(example.answer, example.quote, example.number, language)),
        Turn("user", wording.question + example.unanswerable),
        Turn("assistant", wording.abstention),
    )


def _asked(wording: Wording, documents: str, question: str, returned: str = "") -> Turn:
    asked = f"{wording.question}{_as_data(question)}"
    return Turn("user", f"{wording.documents}{documents}\n\n{returned}{asked}")


def _remembered(history: Sequence[Turn]) -> Iterator[Turn]:
    """Only what people and the assistant said: nobody outside may speak as the system."""
    said = [turn for turn in history if turn.role in ("user", "assistant")]
    for turn in said[-REMEMBERED_TURNS:]:
        yield Turn(turn.role, _as_data(turn.text[:REMEMBERED_CHARACTERS]))


def _as_data(text: str) -> str:
    """Break the control tokens of chat templates, such as <|im_end|> and </s>, which tokenizers recognise
    even inside a message. The full-width sign has the same NFKC form, so quotations can still be proven."""
    return re.sub(r"<(?=[|/\w])", "＜", text)
