"""How often a policy stands in the way of ordinary work: what it would refuse of questions and texts that
nobody would want refused."""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kiban.bench import beir
from kiban.domain.access import ALL, Principal
from kiban.domain.policy import Where
from kiban.wiring.policy import Policing

ANYBODY = Principal("anybody", frozenset())


@dataclass(frozen=True, slots=True)
class Stopped:
    """What of one folder's texts a policy would have refused, or veiled something in."""

    folder: str
    what: str  # "questions" or "passages"
    texts: int
    refused: dict[str, int]  # by rule
    anywhere: int  # that hold a rule's word somewhere, be it inside another word
    veiled: int  # texts of which something would be veiled
    milliseconds: float  # a text, mean
    examples: tuple[str, ...]  # the first refused

    @property
    def share(self) -> float:
        return sum(self.refused.values()) / self.texts

    @property
    def at_most(self) -> float:
        """Return the upper end of the 95 % interval (Clopper & Pearson 1934)."""
        from scipy.stats import beta

        stopped = sum(self.refused.values())
        return 1.0 if stopped == self.texts else float(beta.ppf(0.975, stopped + 1, self.texts - stopped))


def measure(policing: Policing, folders: Iterable[Path], limit: int) -> Iterator[Stopped]:
    """Look at the questions of folders in BEIR layout as questions, and at their passages as answers."""
    for folder in folders:
        asked = [question.text for question in beir.questions(folder, limit)]
        yield _stopped(policing, folder.name, Where.QUESTION, asked)
        texts = [
            s.text for _, parsed in beir.documents(folder, ALL) for s in parsed.sections if s.text.strip()
        ]
        yield _stopped(policing, folder.name, Where.ANSWER, texts[:limit])


def _stopped(policing: Policing, folder: str, where: Where, texts: list[str]) -> Stopped:
    words = [_plain(word) for rule in policing.policy.rules if where in rule.where for word in rule.words]
    anywhere = sum(any(word in plain for word in words) for plain in map(_plain, texts))
    rules, examples, veiled, began = Counter[str](), list[str](), 0, time.perf_counter()
    for text in texts:
        if rule := policing.broken(text, ANYBODY, where):
            rules[rule.name] += 1
            examples.append(f"{rule.name}: {' '.join(text.split())[:60]}")
        veiled += policing.unnamed(text, ANYBODY) != text
    took = (time.perf_counter() - began) / max(len(texts), 1) * 1000
    what = "questions" if where is Where.QUESTION else "passages"
    return Stopped(folder, what, len(texts), dict(rules), anywhere, veiled, took, tuple(examples[:5]))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
