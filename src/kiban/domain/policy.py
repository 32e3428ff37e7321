"""What a company allows to be asked and answered, beside what a person may read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kiban.domain.access import Principal
from kiban.domain.sensitive import Kind


class Where(StrEnum):
    QUESTION = "question"
    ANSWER = "answer"


EVERYWHERE = frozenset(Where)


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that are not to be asked about, or not to be answered with."""

    name: str  # stands in refusals and in the record of answers
    words: tuple[str, ...]
    where: frozenset[Where] = EVERYWHERE
    exempt: frozenset[str] = frozenset()  # groups that it does not hold for
    says: str = ""  # what is told instead; "" for the usual words

    def holds_for(self, who: Principal, where: Where) -> bool:
        return where in self.where and not self.exempt & who.groups


@dataclass(frozen=True, slots=True)
class Veil:
    """Kinds of personal data and secrets that only some people are shown."""

    kinds: frozenset[Kind]
    shown_to: frozenset[str] = frozenset()  # groups


@dataclass(frozen=True, slots=True)
class Judge:
    """A model that reads questions and answers, and the labels for which it refuses them."""

    model: str  # a folder or a hub id
    labels: frozenset[str]
    at_least: float = 0.9  # of a label's probability
    where: frozenset[Where] = EVERYWHERE


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it. Without any, nothing is looked for."""

    rules: tuple[Rule, ...] = ()
    veils: tuple[Veil, ...] = ()
    judge: Judge | None = None

    def rules_for(self, who: Principal, where: Where) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.holds_for(who, where))

    def veiled_for(self, who: Principal) -> frozenset[Kind]:
        """Return the kinds that a person is not shown."""
        return frozenset(kind for veil in self.veils if not veil.shown_to & who.groups for kind in veil.kinds)


NO_POLICY = Policy()
