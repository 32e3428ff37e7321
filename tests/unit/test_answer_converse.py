from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from answering import HOTEL, RAIL

from kiban.answer.converse import LONGEST_ANSWER, converse
from kiban.domain.question import (
    NO_TOOLS,
    PROSE,
    Answer,
    Form,
    Passage,
    ToolCall,
    Tools,
    Turn,
    Usage,
)


class Scripted:
    """A Generator that says what it is told, one character at a time, and remembers what it was asked."""

    def __init__(self, says: str) -> None:
        self.says = says
        self.asked: Sequence[Turn] = ()
        self.max_tokens = 0
        self.closed = False

    async def stream(
        self,
        turns: Sequence[Turn],
        *,
        model: str,
        max_tokens: int,
        salt: str = "",
        session: str = "",
        form: Form = PROSE,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | ToolCall | Usage]:
        self.asked, self.max_tokens = turns, max_tokens
        try:
            for character in self.says:
                yield character
        finally:
            self.closed = True


async def ask(
    model: Scripted, question: str, passages: Sequence[Passage], **more: bool | Form
) -> tuple[str, Answer]:
    pieces = converse(question, passages, generator=model, model="base", release_id="r1", **more)  # type: ignore[arg-type]
    *text, answer = [piece async for piece in pieces]
    assert isinstance(answer, Answer)
    return "".join(map(str, text)), answer


async def test_the_pieces_add_up_to_the_answer() -> None:
    says = "11,000円です。「国内出張の宿泊費は11,000円を上限とする。」[2] 詳細は[1]。"
    text, answer = await ask(Scripted(says), "宿泊費は？", [RAIL, HOTEL])
    assert text == answer.text == "11,000円です。「国内出張の宿泊費は11,000円を上限とする。」[2] 詳細は。"
    assert [citation.passage for citation in answer.citations] == [HOTEL]
    assert (answer.raw, answer.release_id, answer.abstained) == (says, "r1", False)


async def test_without_passages_the_model_is_not_asked() -> None:
    model = Scripted("社長は田中です。")
    text, answer = await ask(model, "Who is the president?", [])
    assert text == answer.text == "The documents do not say."
    assert answer.abstained and not model.asked


async def test_a_judge_may_ask_from_memory() -> None:
    _, answer = await ask(Scripted("田中です。"), "社長は誰？", [], closed_book=True)
    assert (answer.text, answer.abstained) == ("田中です。", False)


async def test_the_model_may_abstain() -> None:
    _, answer = await ask(Scripted("資料に記載がありません。"), "社長は誰？", [HOTEL])
    assert answer.abstained


async def test_a_proven_quotation_is_an_answer_even_if_it_speaks_of_missing_entries() -> None:
    says = "はい。「国内出張の宿泊費は11,000円を上限とする。」[1] 他の記載はありません。"
    _, answer = await ask(Scripted(says), "宿泊費は？", [HOTEL])
    assert not answer.abstained


async def test_silence_is_an_abstention() -> None:
    text, answer = await ask(Scripted(" "), "社長は誰？", [HOTEL])
    assert answer.abstained and text.strip() == "資料に記載がありません。"


async def test_no_one_asks_for_more_tokens_than_the_cap() -> None:
    model = Scripted("はい")
    await ask(model, "宿泊費は？", [HOTEL], form=Form(max_tokens=10**6))
    assert model.max_tokens == LONGEST_ANSWER


async def test_whoever_stops_listening_stops_the_model() -> None:
    model = Scripted("長い話" * 100)
    answering = converse("宿泊費は？", [HOTEL], generator=model, model="base", release_id="r1")
    await anext(answering)
    await answering.aclose()  # type: ignore[attr-defined]
    assert model.closed
