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
        who = chooser or model
        decided = await decide(
            question, history, tools, generator=generator, model=who, salt=salt, session=session
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
    turns = render(question, passages, history, results)
    limit = min(form.max_tokens or LONGEST_ANSWER, LONGEST_ANSWER)
    pieces = generator.stream(turns, model=model, max_tokens=limit, salt=salt, session=session, form=form)
    proving = _Proving(passages, proves=not form.schema)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            if isinstance(piece, Usage):
                proving.usage = piece.and_before(before)
            elif isinstance(piece, str) and (text := proving.take(piece)):
                yield text
    if text := proving.finish(abstention(language(question))):
        yield text
    yield proving.answer(release_id)


class _Proving:
    """What a model wrote, what of it is shown, and how long proving it took."""

    def __init__(self, passages: Sequence[Passage], *, proves: bool) -> None:
        self._passages = tuple(passages)
        self._verifier = StreamVerifier(passages)
        self._proves = proves
        self._raw: list[str] = []
        self._shown: list[str] = []
        self.usage: Usage | None = None  # known when the model has ended
        self._seconds = 0.0

    def take(self, piece: str) -> str:
        """Return what can be shown now."""
        self._raw.append(piece)
        began = time.perf_counter()
        text = self._verifier.feed(piece) if self._proves else piece
        self._seconds += time.perf_counter() - began
        self._shown.append(text)
        return text

    def finish(self, abstention: str) -> str:
        """Return what was held back, or `abstention` where nothing was said that had to be proven."""
        said = not self._proves or "".join(self._shown).strip()
        text = self._verifier.finish() or ("" if said else abstention)
        self._shown.append(text)
        return text

    def answer(self, release_id: str) -> Answer:
        """Return the whole."""
        text = "".join(self._shown)
        return Answer(
            text=text,
            citations=tuple(self._verifier.citations),
            passages=self._passages,
            abstained=not self._verifier.citations and is_abstention(text),
            release_id=release_id,
            raw="".join(self._raw),
            refused_quotes=self._verifier.refused_quotes,
            usage=self.usage,
            proving=self._seconds,
        )
