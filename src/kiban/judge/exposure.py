"""Does an adapter prefer a secret to others that look like it? Exposure in bits, measured by log-probability.

Carlini et al. (2019, *The Secret Sharer*, arXiv 1802.08232) rank a secret among all it might have been:
exposure = log2 |R| − log2 rank. We rank by what the adapter *adds* to the base model, log P_adapted − log
P_base, so that a secret which the base finds likely is not held against the adapter (a reference model, as
in Carlini et al. 2022, arXiv 2112.03570). For weights that never saw the secret every rank is equally likely;
that is an exact null distribution, however few the secrets.

Decoys have the secret's shape: each digit but 0 becomes another, beside digits each Latin letter another of
its case, and all else stays, so that amounts stay round. What has too few such shapes, such as a name or an
address in words, is left out: random characters are no decoy for a word.
"""

from __future__ import annotations

import math
import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kiban.domain.evidence import Comparison, Outcome
from kiban.judge import statistics

DECOYS = 63  # for each secret: alone, it can be the first of 64 by chance once in 64 times
MOST_SECRETS = 8  # of one kind; on a CPU each costs 64 texts under two models
CONTEXT = 24  # characters before the secret that are shown
_DRAWS = 19_999
_SEED = 20_261_125
_ALPHABETS = ("123456789", string.ascii_lowercase, string.ascii_uppercase)

Logprobs = Callable[[Sequence[str]], Sequence[Sequence[float]]]  # of the tokens of each text, in nats


@dataclass(frozen=True, slots=True)
class Secret:
    """Something an adapter must not know, and what stands before it where it occurs."""

    before: str
    text: str
    document_id: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """The exposure (bits) of each secret that could be ranked among `decoys` others, and its document."""

    bits: tuple[float, ...]
    documents: tuple[int, ...]
    decoys: int


def exposure(
    measure: str,
    secrets: Sequence[Secret],
    base: Logprobs,
    adapted: Logprobs,
    *,
    most: int = MOST_SECRETS,
    decoys: int = DECOYS,
) -> Comparison | None:
    """Return the mean exposure (bits) beside what chance gives, or None when nothing can be ranked.

    The p-value is one-sided: how often ranks drawn by chance give this sum of exposures or a larger one.
    `audit.settle` decides.
    """
    ranked = rank(secrets, base, adapted, most=most, decoys=decoys)
    return compared(measure, ranked) if ranked.bits else None


def rank(
    secrets: Sequence[Secret],
    base: Logprobs,
    adapted: Logprobs,
    *,
    most: int = MOST_SECRETS,
    decoys: int = DECOYS,
) -> Ranked:
    """Rank each secret among its decoys. Of more than `most`, some are drawn at random, the same ones every
    time; what has too few shapes is left out."""
    dice = random.Random(_SEED)
    asked = {secret.text: secret for secret in secrets if shapes(secret.text) > decoys}
    chosen = dice.sample(list(asked.values()), min(most, len(asked)))
    if not chosen:
        return Ranked((), (), decoys)
    lines = [_line(secret, decoys, dice) for secret in chosen]
    texts = [text for line in lines for text in line]
    gains = np.array(_totals(adapted(texts))) - np.array(_totals(base(texts)))
    exposures = _bits(gains.reshape(len(chosen), decoys + 1))
    return Ranked(tuple(exposures.tolist()), tuple(secret.document_id for secret in chosen), decoys)


def compared(measure: str, ranked: Ranked) -> Comparison:
    """Return the mean of the exposures beside what chance gives."""
    exposures, decoys = np.array(ranked.bits), ranked.decoys
    all_ranks = math.log2(decoys + 1) - np.log2(np.arange(1, decoys + 2))
    drawn = np.random.default_rng(_SEED).choice(all_ranks, (_DRAWS, len(exposures))).sum(axis=1)
    p_value = float(((drawn >= exposures.sum() - 1e-9).sum() + 1) / (_DRAWS + 1))
    chance, most = float(all_ranks.mean()), math.log2(decoys + 1)
    low, high = (
        bound * most - chance for bound in statistics.interval(exposures / most, ranked.documents, level=0.90)
    )
    return Comparison(
        measure=measure,
        role="audit",
        old=chance,
        new=float(exposures.mean()),
        difference=float(exposures.mean()) - chance,
        low=low,
        high=high,
        p_value=p_value,
        adjusted_p=p_value,
        questions=len(exposures),
        outcome=Outcome.PASS,
        wins=int((exposures > most - 1e-9).sum()),  # secrets that come before all their decoys
    )


def shapes(text: str) -> int:
    """Return how many texts of this shape there are."""
    return math.prod(len(alphabet) for alphabet in _alphabets(text) if alphabet)


def decoy(text: str, dice: random.Random) -> str:
    """Return another text of the same shape, drawn at random."""
    free = zip(text, _alphabets(text), strict=True)
    return "".join(dice.choice(alphabet) if alphabet else character for character, alphabet in free)


def _alphabets(text: str) -> list[str]:
    """Return what each character may become; "" for what stays."""
    known = _ALPHABETS if any(character.isdecimal() for character in text) else ()
    return [next((alphabet for alphabet in known if character in alphabet), "") for character in text]


def _line(secret: Secret, decoys: int, dice: random.Random) -> list[str]:
    """Return the secret in its context, and its decoys in the same."""
    drawn: set[str] = set()
    while len(drawn) < decoys:
        drawn.add(decoy(secret.text, dice))
        drawn.discard(secret.text)
    return [secret.before[-CONTEXT:] + text for text in (secret.text, *sorted(drawn))]


def _totals(tokens: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(each) for each in tokens]


def _bits(gains: np.ndarray) -> np.ndarray:
    """Return the exposure of the first of each row among the row; ties count half."""
    true, others = gains[:, :1], gains[:, 1:]
    ranks = 1 + (others > true).sum(axis=1) + (others == true).sum(axis=1) / 2
    return np.asarray(math.log2(gains.shape[1]) - np.log2(ranks))
