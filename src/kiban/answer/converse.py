"""Answer one question from the passages its asker may read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from kiban.answer.cite import StreamVerifier
from kiban.answer.prompt import abstention, is_abstention, language, render
from kiban.domain.question import Answer, Passage, Turn
from kiban.ports import Generator

LONGEST_ANSWER = 256  # tokens


async def converse(
    question: str,
    passages: Sequence[Passage],
    *,
    generator: Generator,
    model: str,
    release_id: str,
    history: Sequence[Turn] = (),
    max_tokens: int = LONGEST_ANSWER,
    closed_book: bool = False,
    salt: str = "",
) -> AsyncGenerator[str | Answer]:
    """Yield the text piece by piece, as soon as it is proven, and last the whole Answer.

    Without passages there is no evidence, so the model is not even asked; `closed_book` asks it all the
    same, which only a judge wants. `salt` is the Generator's. Raises PartUnavailable.
    """
    if not passages and not closed_book:
        yield abstention(language(question))
        yield _nothing_found(question, release_id)
        return
    verifier = StreamVerifier(passages)
    raw: list[str] = []
    shown: list[str] = []
    turns = render(question, passages, history)
    pieces = generator.stream(turns, model=model, max_tokens=min(max_tokens, LONGEST_ANSWER), salt=salt)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            raw.append(piece)
            if text := verifier.feed(piece):
                shown.append(text)
                yield text
    if text := verifier.finish() or ("" if "".join(shown).strip() else abstention(language(question))):
        shown.append(text)
        yield text
    yield _answer("".join(raw), "".join(shown), verifier, passages, release_id)


def _answer(
    raw: str, text: str, verifier: StreamVerifier, passages: Sequence[Passage], release_id: str
) -> Answer:
    return Answer(
        text=text,
        citations=tuple(verifier.citations),
        passages=tuple(passages),
        abstained=not verifier.citations and is_abstention(text),
        release_id=release_id,
        raw=raw,
        refused_quotes=verifier.refused_quotes,
    )


def _nothing_found(question: str, release_id: str) -> Answer:
    return Answer(abstention(language(question)), (), (), abstained=True, release_id=release_id)
