"""Answer one question from the passages its asker may read."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from kiban.answer.calling import decide
from kiban.answer.cite import StreamVerifier
from kiban.answer.prompt import abstention, is_abstention, language, render
from kiban.domain.question import NO_TOOLS, PROSE, Answer, Form, Passage, Tools, Turn, Usage
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
    tools: Tools = NO_TOOLS,
    chooser: str = "",
) -> AsyncGenerator[str | Answer]:
    """Yield the text piece by piece, as soon as it is proven, and last the whole Answer.

    Without passages there is no evidence, so the model is not even asked; `closed_book` asks it all the
    same, which only a judge wants. An answer that follows a schema quotes nothing, and is empty when it
    abstains. `salt` and `session` are the Generator's. When one of the asker's `tools` has to be called
    first, the Answer is empty but for the calls; the model `chooser` decides that, or `model` without one.
    Raises PartUnavailable.
    """
    before: Usage | None = None
    if tools.offered and tools.choice != '"none"':
        decided = await decide(
            question,
            history,
            tools,
            generator=generator,
            model=chooser or model,
            salt=salt,
            session=session,
        )
        before = decided.usage
        if decided.calls:
            asks = Answer("", (), (), abstained=False, release_id=release_id, usage=before)
            yield replace(asks, calls=decided.calls)
            return
    results = [turn.text for turn in tools.done if turn.role == "tool"]
    if not passages and not closed_book and not results:
        nothing = "" if form.schema else abstention(language(question))
        if nothing:
            yield nothing
        yield Answer(nothing, (), (), abstained=True, release_id=release_id)
        return
    verifier, proving = StreamVerifier(passages), 0.0
    raw: list[str] = []
    shown: list[str] = []
    usage: Usage | None = None
    turns = render(question, passages, history, results)
    limit = min(form.max_tokens or LONGEST_ANSWER, LONGEST_ANSWER)
    pieces = generator.stream(turns, model=model, max_tokens=limit, salt=salt, session=session, form=form)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece.and_before(before)
            if not isinstance(piece, str):
                continue
            raw.append(piece)
            began = time.perf_counter()
            text = piece if form.schema else verifier.feed(piece)
            proving += time.perf_counter() - began
            if text:
                shown.append(text)
                yield text
    said = form.schema or "".join(shown).strip()
    if text := verifier.finish() or ("" if said else abstention(language(question))):
        shown.append(text)
        yield text
    answer = _answer("".join(raw), "".join(shown), verifier, passages, release_id)
    yield replace(answer, usage=usage, proving=proving)


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
