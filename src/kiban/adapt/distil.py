"""A teacher's answers as targets: sequence-level distillation (Kim & Rush, arXiv 1606.07947), proven first.

The teacher reads what the student will be shown and nothing else. Its answer takes the place of the target
only if it does what the target does: holds the value and quotes, letter by letter and under the right number,
the sentence that answers; or abstains where nothing shown answers. What is turned away keeps the target it
had, so a poor teacher teaches less, not worse.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kiban.adapt import scrub
from kiban.domain.learning import Author, Curriculum, Lineage, Stage, TrainingExample

_QUOTED = re.compile(r"[「『“\"]([^「」『』“”\"]{4,})[」』”\"]\s*\[(\d+)\]")
_NUMBER = re.compile(r"\[(\d+)\]\s*$")
LONGEST = 3  # times as long as the target: more is talk


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who answers, and what the room that answers lends to check it."""

    author: Author
    is_abstention: Callable[[str], bool]
    contains: Callable[[str, str], bool]  # text, value
    lineage: tuple[Lineage, ...] = ()  # what the teacher's own weights learnt from, for everyone in the zone
    sensitive: scrub.Find = lambda text: ()


def asked(written: Curriculum) -> list[TrainingExample]:
    """Return the examples that a teacher is asked: those made from documents."""
    return [example for example in written.examples if example.lineage]


def distil(written: Curriculum, answers: Sequence[str], teacher: Teacher) -> tuple[Curriculum, Stage]:
    """Return the curriculum with each of the teacher's answers that is proven, in the order of `asked`.

    Raises MixedAudience if the teacher's weights learnt from what not all of the zone may read, as far as the
    examples say; ValueError for another number of answers.
    """
    given = iter(answers)
    turned_away: Counter[str] = Counter()

    def taught(example: TrainingExample) -> TrainingExample:
        if not example.lineage:
            return example
        answer = next(given).strip()
        if wrong := why_not(example, answer, teacher):
            turned_away[wrong] += 1
            return example
        lineage = tuple(dict.fromkeys((*example.lineage, *teacher.lineage)))
        return replace(example, target=answer, lineage=lineage, teacher=teacher.author)

    if len(answers) != len(asked(written)):
        raise ValueError(f"{len(answers)} answers to {len(asked(written))} examples")
    examples = tuple(map(taught, written.examples))
    kept = len(answers) - turned_away.total()
    return replace(written, examples=examples), Stage("distilled", len(answers), kept, turned_away)


def why_not(example: TrainingExample, answer: str, teacher: Teacher) -> str:
    """Return the rule by which an answer is turned away, "" if it may be learnt."""
    if not answer:
        return "empty"
    if len(answer) > LONGEST * len(example.target) + 40:
        return "too_long"
    if not scrub.is_clean((answer,), teacher.sensitive):
        return "not_clean"
    if not (example.question.quote and example.question.quote in example.target):
        right = teacher.is_abstention(answer) and not _QUOTED.search(answer)
        return "" if right else "does_not_abstain"
    if teacher.is_abstention(answer):
        return "abstains"
    if not teacher.contains(answer, example.question.gold):
        return "without_the_value"
    return "" if _proven(example, answer, teacher) else "not_proven"


def _proven(example: TrainingExample, answer: str, teacher: Teacher) -> bool:
    """Tell whether every quotation stands in what was shown, and one of them answers under its number."""
    shown = "\n".join(turn.text for turn in example.prompt[-1:])
    right = _NUMBER.search(example.target)
    quoted = [(found[1], found[2]) for found in _QUOTED.finditer(answer)]
    if not quoted or right is None or any(quote not in shown for quote, _ in quoted):
        return False
    question = example.question
    return any(
        number == right[1] and quote in question.quote and teacher.contains(quote, question.gold)
        for quote, number in quoted
    )
