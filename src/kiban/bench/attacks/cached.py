"""C4: can somebody tell by the time to the first text what people of another zone have asked?

vLLM keeps what it has computed of a prompt's beginning. Who sends the same beginning is answered sooner, and
so learns that somebody has sent it (CVE-2025-46570). Under a salt of their own, people find only what those
wrote who may read exactly what they may, with the same weights.
"""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

import httpx

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
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.furniture import Furniture

PROMPTS = 600  # half of them asked before by somebody else; chance alone: AUC .50 ± .05
LENGTH = 160  # characters of the passage that nobody else has
HR, LAB = Principal("victim", frozenset({"hr"})), Principal("adversary", frozenset({"lab"}))
COLLEAGUE = Principal("colleague", frozenset({"hr"}))
_HITS = re.compile(r"^vllm:prefix_cache_hits_total\{[^}]*\} (\S+)", re.MULTILINE)
LETTERS = "会社規程申請承認出張休暇賃金契約監査点検故障部品見積納期在庫品質会議研修人事"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody can tell of one prompt."""

    seconds: float  # to the first text
    cached: float  # tokens of it that the server found in its cache, as it counts them


def prefix_timing(stage: Stage) -> Figure:
    """Ask the real model server as one zone, then as another with the same passages; look at the time, and
    at what the server counts, which load on the machine does not blur."""
    # Other prompts every time: a server that runs on still has those of the last run, under both salts.
    dice, count = random.Random(), min(PROMPTS, stage.size(20 * PROMPTS, least=40))
    other, asked = _ask(stage, LAB, count, dice)
    own, theirs = _ask(stage, COLLEAGUE, count // 5, dice)
    by_time, by_count = (_area(_signal(other, kind), asked) for kind in ("seconds", "cached"))
    chance = 1.96 * (1 / (3 * count)) ** 0.5
    found, unasked = _area(_signal(own, "cached"), theirs), set(range(count)) - asked
    return Figure(
        "C4",
        "which prompts of another zone are in the prefix cache?",
        f"AUC {by_time:.3f} by the time to the first text, {by_count:.3f} by the server's own count",
        "≤ 0.55; by time, within chance of it",
        by_count <= 0.55 and by_time - chance <= 0.55,
        count,
        f"chance alone ± {chance:.3f}; between two people of one zone, who may know: "
        f"{_area(_signal(own, 'seconds'), theirs):.3f} by time, {found:.3f} by count; tokens found for the "
        f"other zone {_mean(other, asked):.0f} of what was asked before and {_mean(other, unasked):.0f} of "
        f"what was not, for the own {_mean(own, theirs):.0f}; "
        f"median {statistics.median(one.seconds for one in other) * 1000:.0f} ms",
    )


def _ask(stage: Stage, who: Principal, count: int, dice: random.Random) -> tuple[list[Asked], set[int]]:
    """Return what `who` can tell of each prompt, and which of them somebody in another zone asked before."""
    prompts = [_passage(dice) for _ in range(count // 2 * 2)]
    before = set(dice.sample(range(len(prompts)), len(prompts) // 2))
    return asyncio.run(_told(stage.furniture, who, prompts, before, dice)), before


async def _told(
    furniture: Furniture, who: Principal, prompts: Sequence[Passage], before: set[int], dice: random.Random
) -> list[Asked]:
    told = [Asked(0.0, 0.0)] * len(prompts)
    await _first(
        furniture.bases[0].generator, who, _passage(dice)
    )  # the prompt's beginning is everybody's own
    async with httpx.AsyncClient(timeout=60, trust_env=False) as counter:
        for number in dice.sample(range(len(prompts)), len(prompts)):
            # What was not asked before is asked by nobody; the server is as warm, from something else.
            await _first(
                furniture.bases[0].generator, HR, prompts[number] if number in before else _passage(dice)
            )
            cached = await _cached(counter, furniture.bases[0].urls)
            seconds = await _first(furniture.bases[0].generator, who, prompts[number])
            told[number] = Asked(seconds, await _cached(counter, furniture.bases[0].urls) - cached)
    return told


async def _first(generator: VllmGenerator, who: Principal, passage: Passage) -> float:
    """Return seconds to the first text."""
    turns, began = render("要点は？", [passage]), time.perf_counter()
    pieces = generator.stream(turns, model=BASE_MODEL, max_tokens=1, salt=salt_of(who, BASE_MODEL))
    seconds = 0.0
    async with aclosing(pieces):  # type: ignore[type-var]
        async for _ in pieces:
            seconds = seconds or time.perf_counter() - began
    return seconds


async def _cached(client: httpx.AsyncClient, urls: Sequence[str]) -> float:
    """Return how many tokens the servers have found in their caches so far; 0 for one that does not count."""
    pages = [(await client.get(f"{url}/metrics")).text for url in urls]
    return sum(float(count) for page in pages for count in _HITS.findall(page))


def _signal(told: Sequence[Asked], kind: Literal["seconds", "cached"]) -> list[float]:
    """Return what would be larger for what was asked before."""
    return [-one.seconds if kind == "seconds" else one.cached for one in told]


def _mean(told: Sequence[Asked], which: set[int]) -> float:
    return statistics.mean(told[number].cached for number in which)


def _area(signal: Sequence[float], positive: set[int]) -> float:
    area = auc(signal, positive)
    return max(area, 1 - area)


def _passage(dice: random.Random) -> Passage:
    text = "".join(dice.choices(LETTERS, k=LENGTH))
    return Passage(1, 1, "a.md", "規程", 1, Place(), Span(0, len(text)), text, text, 0.0)
