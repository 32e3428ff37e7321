"""Questions → Curriculum: what the model is shown, and what it should have said.

The mix follows RAFT (arXiv 2403.10131): most examples hold the gold passage among distractors from our own
retriever, some hold distractors only and end in abstention, a few general ones keep the model able to talk.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from kiban.adapt import scrub
from kiban.adapt.facts import Language, language
from kiban.adapt.replay import GENERAL
from kiban.domain.access import Audience
from kiban.domain.document import Document
from kiban.domain.learning import (
    Curriculum,
    Lineage,
    Question,
    QuestionKind,
    Stage,
    TrainingExample,
    TrainingPair,
)
from kiban.domain.question import Passage, Turn
from kiban.domain.text import Span
from kiban.errors import MixedAudience, TooFewExamples

FEWEST = 8  # questions; with fewer the weights would learn the words instead of the behaviour
ABSTAINING_SHARE = 0.3
SHOWN = (2, 4)  # passages of one example, at least and at most
LONGEST_PROMPT = 1800  # characters; distractors are left out to keep to it
NEGATIVES = 4  # hard negatives of one pair


@dataclass(frozen=True, slots=True)
class Classroom:
    """What other rooms lend, so that training looks like serving."""

    find: Callable[[str], Sequence[Passage]]  # what the retriever shows for a question
    render: Callable[[str, Sequence[Passage]], tuple[Turn, ...]]  # question and passages → prompt
    target: Callable[[str, str, int, Language], str]  # short answer, quote, passage number, language
    abstention: Callable[[Language], str]  # language
    documents: Mapping[int, Document]  # by id: who may read what is shown
    sensitive: scrub.Find = lambda text: ()  # secrets and personal data in a text
    embedded: Callable[[Passage], str] = lambda passage: passage.normalised  # what search reads of it


def build(
    questions: Sequence[Question],
    classroom: Classroom,
    *,
    audience: Audience,
    prompt_version: str,
    limit: int,
    seed: int,
    pairs: int | None = None,
    longest_prompt: int = LONGEST_PROMPT,
) -> Curriculum:
    """Return an example for each of the first `limit` questions in whole sentences, and some general
    examples; for everyone, a pair for each of the first `pairs` questions (else `limit`) of all kinds, too:
    embedder and reranker serve all zones, so only that curriculum teaches them.

    Raises MixedAudience if anything shown is not for everyone in `audience`, and TooFewExamples.
    """
    if len(questions) < FEWEST:
        raise TooFewExamples(
            f"{len(questions)} questions; {FEWEST} are needed.", mend="ingest more documents"
        )
    dice = random.Random(seed)
    spoken = [question for question in questions if question.kind is QuestionKind.QUESTION]
    made = [
        make_example(
            question,
            classroom,
            withheld=_falls_due(number, ABSTAINING_SHARE),
            dice=dice,
            longest_prompt=longest_prompt,
        )
        for number, question in enumerate(spoken[:limit])
    ]
    examples = [one for one in made if scrub.is_clean(scrub.texts_of_example(one), classroom.sensitive)]
    examples += [_general(asked, answer, audience) for asked, answer in GENERAL[: limit // 16]]
    dice.shuffle(examples)
    for_all_zones = questions[: limit if pairs is None else pairs] if audience.is_everyone else ()
    paired = [_pair(question, classroom) for question in for_all_zones]
    return Curriculum(audience, tuple(examples), tuple(filter(None, paired)), prompt_version, seed)


def stages(
    written: Curriculum, questions: Sequence[Question], limit: int, pairs: int
) -> tuple[Stage, Stage, Stage]:
    """Return what `build` made of these questions: pairs by kind, and examples, and what is general."""
    spoken = min(limit, sum(question.kind is QuestionKind.QUESTION for question in questions))
    examples = [example for example in written.examples if example.lineage]
    general = len(written.examples) - len(examples)
    paired = min(pairs, len(questions)) if written.audience.is_everyone else 0
    return (
        Stage("examples", spoken, len(examples), {"not_clean": spoken - len(examples)}),
        Stage("general examples", len(GENERAL), general),
        Stage("pairs", paired, len(written.pairs), {"not_found_or_not_clean": paired - len(written.pairs)}),
    )


def _falls_due(number: int, share: float) -> bool:
    """Tell whether something done to a share of a list, evenly spread, is done to item `number`."""
    return int((number + 1) * share) > int(number * share)


def make_example(
    question: Question,
    classroom: Classroom,
    *,
    withheld: bool,
    dice: random.Random,
    longest_prompt: int = LONGEST_PROMPT,
) -> TrainingExample:
    """Return what is shown for a question, its passage among others or `withheld`, and the right answer."""
    shown = _shown(question, classroom.find(question.text), withheld, dice)
    prompt = _prompt(question, shown, classroom)
    while len(shown) > 1 and sum(len(turn.text) for turn in prompt) > longest_prompt:
        shown = _without_a_distractor(shown, question)
        prompt = _prompt(question, shown, classroom)
    lineage, audience = _provenance(question, shown, classroom.documents)
    answer = _answer(question, shown, classroom)
    return TrainingExample(question, prompt, answer, lineage, audience, scrub.record(shown))


def _prompt(question: Question, shown: Sequence[Passage], classroom: Classroom) -> tuple[Turn, ...]:
    return classroom.render(question.text, [scrub.masked(passage, classroom.sensitive) for passage in shown])


def _shown(
    question: Question, found: Sequence[Passage], withheld: bool, dice: random.Random
) -> tuple[Passage, ...]:
    """Choose passages, the gold one among them unless it is withheld, in an order that gives nothing away."""
    at_most = dice.randint(*SHOWN)
    gold = [] if withheld else [passage for passage in found if passage.chunk_id == question.chunk_id]
    distractors = [passage for passage in found if not _answers(passage, question)]
    chosen = [*gold, *distractors[: at_most - len(gold)]]
    dice.shuffle(chosen)
    return tuple(chosen)


def _answers(passage: Passage, question: Question) -> bool:
    """Tell whether a passage holds the gold value, wherever it comes from; where no sentence is known to
    answer, whether it is of the document that does."""
    if not question.quote and passage.document_id == question.lineage.document_id:
        return True
    return passage.chunk_id == question.chunk_id or _plain(question.gold) in _plain(passage.original)


def _plain(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).casefold()


def _without_a_distractor(shown: Sequence[Passage], question: Question) -> tuple[Passage, ...]:
    longest = max(
        (passage for passage in shown if passage.chunk_id != question.chunk_id),
        key=lambda passage: len(passage.original),
    )
    return tuple(passage for passage in shown if passage is not longest)


def _answer(question: Question, shown: Sequence[Passage], classroom: Classroom) -> str:
    spoken = language(question.text)
    for number, passage in enumerate(shown, start=1):
        if passage.chunk_id == question.chunk_id:
            full_stop = "です。" if spoken == "ja" else "."
            return classroom.target(question.gold + full_stop, question.quote, number, spoken)
    return classroom.abstention(spoken)


def _provenance(
    question: Question, shown: Iterable[Passage], documents: Mapping[int, Document]
) -> tuple[tuple[Lineage, ...], Audience]:
    """Return every document something was made from, once each, and who may read all of them."""
    sources: dict[int, Document] = {}
    for document_id in (question.lineage.document_id, *(passage.document_id for passage in shown)):
        if document_id not in documents:
            raise MixedAudience(f"Document {document_id}, found for {question.lineage.uri}, is unknown.")
        sources[document_id] = documents[document_id]
    lineage = tuple(_lineage(document) for document in sources.values())
    readers = (document.audience for document in sources.values())
    return lineage, reduce(Audience.meet, readers, question.audience)


def _lineage(document: Document) -> Lineage:
    return Lineage(document.id, document.uri, document.version, document.sha256)


def _general(asked: str, answer: str, audience: Audience) -> TrainingExample:
    """Make an example from no document at all."""
    nowhere = Lineage(0, "kiban:general", 1, "")
    question = Question(asked, "", "", 0, Span(0, 0), nowhere, audience)
    return TrainingExample(question, (Turn("user", asked),), answer, (), audience)


def _pair(question: Question, classroom: Classroom) -> TrainingPair | None:
    """Return what an embedder learns from; None if its retriever does not find the gold passage yet, or if
    the question itself is not clean."""
    found = classroom.find(question.text)
    gold = [passage for passage in found if passage.chunk_id == question.chunk_id]
    if not gold:
        return None
    negatives = [passage for passage in found if not _answers(passage, question)][:NEGATIVES]
    lineage, audience = _provenance(question, negatives, classroom.documents)
    clean, *others = (
        classroom.embedded(scrub.masked(passage, classroom.sensitive)) for passage in (gold[0], *negatives)
    )
    taken_out = scrub.record((gold[0], *negatives))
    pair = TrainingPair(
        question.text,
        clean,
        tuple(others),
        lineage,
        audience,
        taken_out,
        question.kind,
        question.author,
    )
    return pair if scrub.is_clean(scrub.texts_of_pair(pair), classroom.sensitive) else None
