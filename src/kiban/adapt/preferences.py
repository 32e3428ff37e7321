"""Feedback → Preferences: how an adapter should have answered, and how not."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from kiban.adapt import scrub
from kiban.adapt.curriculum import Classroom, make_example
from kiban.domain.feedback import Feedback
from kiban.domain.learning import Preference, Question, Stage
from kiban.domain.question import Passage

_BREAK = re.compile(r"[「」『』“”\"。．!！?？\n]|\.(?=\s|$)|\[\d+\]")
_ENDING = re.compile(r"(?:です|でした|である|とのこと)$")


def prefer(
    taught: Sequence[tuple[Feedback, Question]], classroom: Classroom, readable: Iterable[Passage], seed: int
) -> tuple[tuple[Preference, ...], Stage]:
    """Return what admitted feedback says of answers: the vouched one is desirable, a corrected one is not.

    The desirable answer is written anew from the place that two curators vouch for. What was shown to the
    one who corrected it was made from all that *they* may read: it is taken, as undesirable, only if every
    piece of it stands in `readable`, which is what everyone in the zone may read.
    """
    known = "\n".join(_plain(passage.original) for passage in readable)
    dice = random.Random(seed)
    kept: list[Preference] = []
    turned_away: Counter[str] = Counter()
    for given, question in taught:
        shown = make_example(question, classroom, withheld=False, dice=dice)
        made = [Preference(shown.prompt, shown.target, True, shown.lineage, shown.audience)]
        if question.quote not in shown.target:
            turned_away["not_found"] += 1  # the retriever does not show the place
            continue
        if not given.correction:
            pass  # confirmed: nothing was wrong
        elif not _stands_in(given.answer, known):
            turned_away["answer_not_for_everyone"] += 1
        elif given.answer.strip() != shown.target:
            made.append(Preference(shown.prompt, given.answer, False, shown.lineage, shown.audience))
        for one in made:
            texts = (*(turn.text for turn in one.prompt), one.answer)
            if scrub.is_clean(texts, classroom.sensitive):
                kept.append(one)
            else:
                turned_away["not_clean"] += 1
    return tuple(kept), Stage("preferences", len(taught), len(kept), turned_away)


def _stands_in(answer: str, known: str) -> bool:
    """Tell whether every piece of an answer, between its quotation marks and full stops, stands in a text."""
    pieces = (_ENDING.sub("", _plain(piece)) for piece in _BREAK.split(answer))
    return all(piece in known for piece in pieces if piece)


def _plain(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).casefold()
