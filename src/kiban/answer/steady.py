"""Keep answering when a model does not: other weights first, then what was found, with a clear notice.

What is ill with one model may be well with the next; what does not answer at all will not answer for the next
model either. Words that have been shown cannot be taken back, so an answer that breaks off is ended by a
notice. Nobody who may read the passages goes away with nothing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from kiban.answer.cite import verify
from kiban.answer.harmless import harmless
from kiban.answer.prompt import language, place_words
from kiban.answer.wording import WORDINGS
from kiban.domain.question import Answer, Form, Passage
from kiban.errors import ModelUnwell, PartUnavailable

log = logging.getLogger(__name__)

Attempt = Callable[[], AsyncGenerator[str | Answer]]


async def steadily(
    attempts: Sequence[Attempt], question: str, passages: Sequence[Passage], *, release_id: str, form: Form
) -> AsyncGenerator[str | Answer]:
    """Yield what the first attempt that can be made writes: text, and last the whole Answer.

    Where a schema is to be followed a notice would break it, and where nothing was found there is nothing to
    show: then PartUnavailable is raised.
    """
    shown: list[str] = []
    for left, attempt in enumerate(attempts, start=1 - len(attempts)):
        try:
            # Whoever stops listening stops the model, here and now.
            async with aclosing(attempt()) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        shown.append(piece)
                    yield piece
            return
        except PartUnavailable as error:
            if form.schema or not passages:
                raise
            log.warning("an answer is written otherwise: %s", error)
            if shown or left == 0 or not isinstance(error, ModelUnwell):
                break
    notice = told(question, passages, begun=bool(shown))
    yield notice
    text = "".join([*shown, notice])
    proven = verify("".join(shown), passages).citations
    yield Answer(text, proven, tuple(passages), abstained=False, release_id=release_id, failed=True)


def told(question: str, passages: Sequence[Passage], *, begun: bool) -> str:
    """Return the notice, and what was found. `begun`: some of the answer stands before it."""
    wording = WORDINGS[language(question)]
    notice = f"\n\n{wording.broken_off}" if begun else wording.no_model
    return f"{notice}\n{listed(question, passages)}"


def listed(question: str, passages: Sequence[Passage]) -> str:
    """Return a line per passage, numbered from 1."""
    return "\n".join(named(number, passage, question) for number, passage in enumerate(passages, start=1))


def named(number: int, passage: Passage, question: str) -> str:
    """Return a passage's number and title, and where in the document it stands, in the language asked in."""
    place = place_words(passage.place, language(question))
    return f"{number}. {harmless(passage.title)}" + (f" ({harmless(place)})" if place else "")
