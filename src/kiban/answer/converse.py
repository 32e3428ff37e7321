"""Answer one question from the passages its asker may read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from kiban.answer.cite import StreamVerifier
from kiban.answer.prompt import abstention, is_abstention, language, render
from kiban.domain.question import PROSE, Answer, Form, Passage, Turn, Usage
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
    form: Form = PROSE,
    closed_book: bool = False,
    salt: str = "",
    session: str = "",
) -> AsyncGenerator[str | Answer]:
    """Yield the text piece by piece, as soon as it is proven, and last the whole Answer.

    Without passages there is no evidence, so the model is not even asked; `closed_book` asks it all the
    same, which only a judge wants. An answer that follows a schema quotes nothing, and is empty when it
    abstains. `salt` and `session` are the Generator's. Raises PartUnavailable.
    """
    if not passages and not closed_book:
        nothing = "" if form.schema else abstention(language(question))
        if nothing:
            yield nothing
        yield Answer(nothing, (), (), abstained=True, release_id=release_id)
        return
    verifier = StreamVerifier(passages)
    raw: list[str] = []
    shown: list[str] = []
    usage: Usage | None = None
    turns = render(question, passages, history)
    limit = min(form.max_tokens or LONGEST_ANSWER, LONGEST_ANSWER)
    pieces = generator.stream(turns, model=model, max_tokens=limit, salt=salt, session=session, form=form)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece
                continue
            raw.append(piece)
            if text := piece if form.schema else verifier.feed(piece):
                shown.append(text)
                yield text
    said = form.schema or "".join(shown).strip()
    if text := verifier.finish() or ("" if said else abstention(language(question))):
        shown.append(text)
        yield text
    answer = _answer("".join(raw), "".join(shown), verifier, passages, release_id)
    yield replace(answer, usage=usage)


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
