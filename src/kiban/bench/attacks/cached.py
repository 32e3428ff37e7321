"""C4: can somebody tell by the time to the first text what people of another zone have asked?

vLLM keeps what it has computed of a prompt's beginning. Who sends the same beginning is answered sooner, and
so learns that somebody has sent it (CVE-2025-46570). Under a salt of their own, people find only what those
wrote who may read exactly what they may, with the same weights.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from contextlib import aclosing

from kiban.answer.prompt import render
from kiban.backends.vllm_generator import VllmGenerator
from kiban.bench.attacks import Figure
from kiban.bench.attacks.access import auc
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import Principal
from kiban.domain.document import Place
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.wiring.answers import salt_of
from kiban.wiring.furniture import BASE_MODEL

PROMPTS = 600  # half of them asked before by somebody else; chance alone: AUC .50 ± .05
LENGTH = 160  # characters of the passage that nobody else has
HR, LAB = Principal("victim", frozenset({"hr"})), Principal("adversary", frozenset({"lab"}))
COLLEAGUE = Principal("colleague", frozenset({"hr"}))
LETTERS = "会社規程申請承認出張休暇賃金契約監査点検故障部品見積納期在庫品質会議研修人事"


def prefix_timing(stage: Stage) -> Figure:
    """Ask the real model server as one zone, then as another with the same passages, and look at the time."""
    generator, dice = stage.furniture.generator, random.Random(19)
    count = min(PROMPTS, stage.size(20 * PROMPTS, least=40))
    told = []
    for who, share in ((LAB, 1.0), (COLLEAGUE, 0.2)):
        prompts = [_passage(dice) for _ in range(round(count * share) // 2 * 2)]
        asked = set(dice.sample(range(len(prompts)), len(prompts) // 2))
        took = asyncio.run(_times(generator, who, prompts, asked, dice))
        area = auc([-seconds for seconds in took], asked)
        told.append((area, statistics.median(took)))
    (ours, median), (control, _) = told
    return Figure(
        "C4",
        "which prompts of another zone are in the prefix cache? from the time to the first text",
        f"AUC {max(ours, 1 - ours):.3f}",
        "≤ 0.55",
        max(ours, 1 - ours) <= 0.55,
        count,
        f"between two people of one zone, who may know: {control:.3f}; median {median * 1000:.0f} ms; "
        f"chance alone ± {1.96 * (1 / (6 * count / 2)) ** 0.5:.3f}",
    )


async def _times(
    generator: VllmGenerator, who: Principal, prompts: Sequence[Passage], asked: set[int], dice: random.Random
) -> list[float]:
    """Return how long `who` waits for each, those that the victim asked just before among them."""
    took = [0.0] * len(prompts)
    for number in dice.sample(range(len(prompts)), len(prompts)):
        if number in asked:
            await _first(generator, HR, prompts[number])
        else:
            await _first(generator, HR, _passage(dice))  # the server is as warm, from something else
        took[number] = await _first(generator, who, prompts[number])
    return took


async def _first(generator: VllmGenerator, who: Principal, passage: Passage) -> float:
    """Return seconds to the first text."""
    turns, began = render("要点は？", [passage]), time.perf_counter()
    pieces = generator.stream(turns, model=BASE_MODEL, max_tokens=1, salt=salt_of(who, BASE_MODEL))
    async with aclosing(pieces):  # type: ignore[type-var]
        async for _ in pieces:
            break
    return time.perf_counter() - began


def _passage(dice: random.Random) -> Passage:
    text = "".join(dice.choices(LETTERS, k=LENGTH))
    return Passage(1, 1, "a.md", "規程", 1, Place(), Span(0, len(text)), text, text, 0.0)
