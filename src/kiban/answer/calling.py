"""Whether the asker's own program should do something first: decided before any document is in sight.

A document can tell a model to call a tool, and have it carry away what other documents say (indirect prompt
injection). So the model that chooses tools sees what the asker said and what their program's tools returned,
and neither a passage nor an earlier answer, in which documents are quoted; the model that sees passages has
no tools. What a document says can then lead to no call (the plan-then-execute pattern of Beurer-Kellner et
al., 2025, "Design Patterns for Securing LLM Agents against Prompt Injections").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from kiban.answer.prompt import deciding
from kiban.domain.question import ToolCall, Tools, Turn, Usage
from kiban.errors import TooLong
from kiban.ports import Generator

LONGEST_CALL = 512  # tokens
LEFT_OPEN = '"auto"'  # whether a tool is called at all
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decided:
    """What the asker's program should call; nothing, when the documents are to be asked."""

    calls: tuple[ToolCall, ...]
    usage: Usage | None


async def decide(
    question: str,
    history: Sequence[Turn],
    tools: Tools,
    *,
    generator: Generator,
    model: str,
    salt: str = "",
    session: str = "",
) -> Decided:
    """Let the model choose among the tools on offer. A call of any other tool counts as none. Where it may do
    without, tools too many for it to read are not looked at: the documents can answer all the same.

    Raises PartUnavailable, and TooLong where a call is required.
    """
    asked = deciding(question, [turn for turn in history if turn.role == "user"], tools.done)
    calls: list[ToolCall] = []
    usage: Usage | None = None
    pieces = generator.stream(
        asked, model=model, max_tokens=LONGEST_CALL, salt=salt, session=session, tools=tools
    )
    offered = {tool["function"]["name"] for tool in json.loads(tools.offered)}
    try:
        async with aclosing(pieces):  # type: ignore[type-var]
            async for piece in pieces:
                if isinstance(piece, ToolCall) and piece.name in offered:
                    calls.append(piece)
                elif isinstance(piece, Usage):
                    usage = piece
    except TooLong as error:
        if tools.choice != LEFT_OPEN:
            raise
        log.warning("%d tools were not looked at: %s", len(offered), error)
    return Decided(tuple(calls), usage)
