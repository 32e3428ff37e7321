"""A curriculum teaches to cite and to abstain, and holds nothing that not everyone may read."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from adapting import ALL, Finder, classroom, curriculum, document, passage, questions, shelf

from kiban.adapt import card
from kiban.adapt.curriculum import FEWEST, build, stages
from kiban.adapt.questions import make_questions
from kiban.adapt.writers import TemplateWriter
from kiban.backends.candidates import CandidateFolder
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Document
from kiban.domain.learning import Author, Curriculum, QuestionKind, Stage, TrainingExample, Weights
from kiban.domain.question import Passage
from kiban.errors import BadWeights, MixedAudience, TooFewExamples

HR = Audience(frozenset({"hr"}))


def cites(example: TrainingExample) -> bool:
    return example.target.endswith("]")


def test_a_target_quotes_the_gold_sentence_and_the_number_it_has_in_the_prompt() -> None:
    cited = [example for example in curriculum().examples if cites(example)]
    for example in cited:
        number = int(example.target[-2])
        assert f"[{number}] {example.question.quote}" in example.prompt[-1].text
        assert example.target.startswith(example.question.gold)
    assert len(cited) == 7
    assert len({example.target[-2] for example in cited}) > 1  # no position gives the answer away


def test_an_example_that_abstains_shows_no_passage_with_the_value() -> None:
    abstaining = [example for example in curriculum().examples if not cites(example)]
    for example in abstaining:
        assert example.target == "資料にありません。"
        assert example.question.gold not in example.prompt[-1].text
        assert "[2]" in example.prompt[-1].text
    assert len(abstaining) == 3


def test_a_second_passage_with_the_same_value_is_no_distractor() -> None:
    documents, passages = shelf()
    twin = passage(2, "別の規程でも１２，１００円とする。", chunk=99)
    lent = classroom(documents, [*passages, twin])
    made = build(questions(), lent, audience=ALL, prompt_version="1", limit=10, seed=1)
    about_twin = [e for e in made.examples if e.question.gold == "12,100円"]
    assert about_twin and all(twin.original not in e.prompt[-1].text for e in about_twin)


def test_lineage_names_every_document_shown() -> None:
    for example in curriculum().examples:
        shown = {seen.uri for seen in example.lineage}
        named = {
            f"rules-{number}.md" for number in range(1, 11) if f"額{number}2," in example.prompt[-1].text
        }
        assert named | {example.question.lineage.uri} == shown


def test_a_long_prompt_loses_distractors_and_keeps_the_gold_passage() -> None:
    documents, passages = shelf()
    padded = [replace(p, original=p.original + "余談。" * 200) for p in passages]
    lent = classroom(documents, padded)
    made = build(questions(), lent, audience=ALL, prompt_version="1", limit=10, seed=1, longest_prompt=700)
    for example in filter(cites, made.examples):
        assert example.question.quote in example.prompt[-1].text
        assert "[2]" not in example.prompt[-1].text


def test_sixteen_questions_bring_one_general_example_that_comes_from_no_document() -> None:
    asked = tuple(replace(question, text=question.text + "?" * n) for question in questions() for n in (0, 1))
    made = build(asked, classroom(*shelf()), audience=ALL, prompt_version="1", limit=20, seed=1)
    (general,) = [example for example in made.examples if not example.lineage]
    assert len(made.examples) == 21
    assert general.prompt[-1].role == "user"


def test_every_question_learnt_from_gives_the_embedder_a_pair_with_hard_negatives() -> None:
    made = curriculum(limit=8)
    assert len(made.pairs) == 8
    for pair in made.pairs:
        assert len(pair.negatives) == 4
        assert pair.passage not in pair.negatives


def test_equal_seeds_make_equal_curricula_and_others_do_not() -> None:
    assert curriculum(seed=1).sha256 == curriculum(seed=1).sha256 != curriculum(seed=2).sha256


def test_few_questions_are_refused() -> None:
    with pytest.raises(TooFewExamples, match=f"{FEWEST - 1} questions"):
        build(
            questions()[: FEWEST - 1], classroom(*shelf()), audience=ALL, prompt_version="1", limit=9, seed=1
        )


# --- Audit: one restricted thing, put into a curriculum in 100 ways, is refused 100 times ---


def restricted_document(dice: random.Random) -> Curriculum:
    """A document's readers are narrowed between asking and building."""
    documents, passages = shelf()
    number = dice.randrange(10)
    documents[number] = document(number + 1, dice.choice([HR, NOBODY]))
    return build(
        questions(), classroom(documents, passages), audience=ALL, prompt_version="1", limit=10, seed=1
    )


def restricted_distractor(dice: random.Random) -> Curriculum:
    """The retriever shows a restricted passage, as one without row-level security would."""
    documents, passages = shelf()
    secret = document(11, dice.choice([HR, NOBODY]))
    leaking = passage(11, "賞与は月額77,700円とする。")
    return _built_with(documents, [*passages[:2], leaking, *passages[2:]], [secret])


def unknown_distractor(dice: random.Random) -> Curriculum:
    """The retriever shows a passage of a document that the reader of the curriculum cannot list."""
    documents, passages = shelf()
    return _built_with(documents, [*passages[:2], passage(dice.randrange(11, 99), "秘密は千円とする。")], [])


def _built_with(documents: list[Document], passages: list[Passage], more: list[Document]) -> Curriculum:
    lent = classroom([*documents, *more], passages)
    asked = questions()
    return build(
        asked, replace(lent, find=Finder(passages)), audience=ALL, prompt_version="1", limit=10, seed=1
    )


def restricted_example(dice: random.Random) -> Curriculum:
    made = curriculum()
    examples = list(made.examples)
    at = dice.randrange(len(examples))
    examples.insert(at, replace(examples[at], audience=dice.choice([HR, NOBODY])))
    return replace(made, examples=tuple(examples))


def restricted_question(dice: random.Random) -> Curriculum:
    """The example claims to be for everyone, but its question is not."""
    made = curriculum()
    examples = list(made.examples)
    at = dice.randrange(len(examples))
    examples[at] = replace(examples[at], question=replace(examples[at].question, audience=HR))
    return replace(made, examples=tuple(examples))


def restricted_pair(dice: random.Random) -> Curriculum:
    made = curriculum()
    pairs = list(made.pairs)
    at = dice.randrange(len(pairs))
    pairs[at] = replace(pairs[at], audience=dice.choice([HR, NOBODY]))
    return replace(made, pairs=tuple(pairs))


def restricted_gold(dice: random.Random) -> Curriculum:
    asked = list(questions())
    at = dice.randrange(len(asked))
    asked[at] = replace(asked[at], audience=HR)
    return build(asked, classroom(*shelf()), audience=ALL, prompt_version="1", limit=10, seed=1)


WAYS: list[Callable[[random.Random], Curriculum]] = [
    restricted_document, restricted_distractor, unknown_distractor, restricted_example, restricted_question,
    restricted_pair, restricted_gold,
]  # fmt: skip


@pytest.mark.parametrize("number", range(100))
def test_one_restricted_thing_is_refused_whichever_way_it_gets_in(number: int) -> None:
    dice = random.Random(number)
    with pytest.raises(MixedAudience):
        WAYS[number % len(WAYS)](dice)


def test_a_zone_may_learn_from_what_everyone_may_read_but_not_the_other_way_round() -> None:
    examples = curriculum().examples
    assert Curriculum(HR, examples, (), "1", 1).audience == HR
    with pytest.raises(MixedAudience):
        Curriculum(ALL, tuple(replace(example, audience=HR) for example in examples), (), "1", 1)


def test_a_refusal_names_the_document_and_repeats_nothing_of_it() -> None:
    made = curriculum()
    secret = replace(made.examples[0], audience=HR)
    with pytest.raises(MixedAudience) as refused:
        replace(made, examples=(secret,))
    assert secret.question.lineage.uri in str(refused.value)
    assert secret.question.quote not in str(refused.value)
    assert secret.question.text not in str(refused.value)


# --- The card, and the name of weights ---


def test_the_card_names_what_the_weights_have_seen_and_quotes_none_of_it() -> None:
    made = curriculum()
    text = card.write("kiban-adapter", made, Weights(Path(), "ab" * 32))
    assert made.sha256 in text and "ab" * 32 in text
    assert "10 examples, of which 7 cite a passage, 3 abstain and 0 are general; 10 pairs" in text
    assert "| rules-10.md | 1 |" in text
    assert not any(example.question.gold in text for example in made.examples)


def test_weights_are_named_by_their_content_alone(tmp_path: Path) -> None:
    one, other = _directory(tmp_path / "one"), _directory(tmp_path / "other")
    (other / "README.md").write_text("A note beside the weights.")
    assert Weights.of(one).sha256 == Weights.of(other).sha256
    (other / "model.safetensors").write_bytes(b"other weights")
    assert Weights.of(one).sha256 != Weights.of(other).sha256


def test_weights_with_a_link_or_without_a_file_are_refused(tmp_path: Path) -> None:
    linked = _directory(tmp_path / "linked")
    (linked / "sub" / "more.safetensors").symlink_to(linked / "model.safetensors")
    (tmp_path / "empty").mkdir()
    for path in (linked, tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(BadWeights):
            Weights.of(path)


def _directory(path: Path) -> Path:
    (path / "sub").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "sub" / "config.json").write_text("{}")
    return path


def test_what_curricula_were_named_before_there_were_kinds_and_authors_they_are_named_still() -> None:
    old = curriculum(10, 1)
    plain = replace(
        old,
        examples=tuple(replace(one, question=replace(one.question, author=Author())) for one in old.examples),
        pairs=tuple(replace(one, author=Author()) for one in old.pairs),
    )
    assert plain.sha256 == "9075f621a103b771af90c8d81d628fbae92d6c8e57c79803d551cfcdc33dabc7"
    assert old.sha256 != plain.sha256


def test_a_curriculum_that_was_kept_before_is_still_read(tmp_path: Path) -> None:
    folder = CandidateFolder(tmp_path)
    folder.keep_curriculum(curriculum(10, 1), ())
    kept = json.loads((tmp_path / "curriculum.json").read_text())
    for made in (*(example["question"] for example in kept["examples"]), *kept["pairs"]):
        del made["kind"], made["author"]
    (tmp_path / "curriculum.json").write_text(json.dumps(kept))
    read = folder.curriculum()
    assert {pair.kind for pair in read.pairs} == {QuestionKind.QUESTION}
    assert {pair.author for pair in read.pairs} == {Author()}


def test_pairs_are_of_every_kind_and_examples_in_whole_sentences() -> None:
    documents, passages = shelf()
    asked = [
        made
        for kind in QuestionKind
        for made in make_questions(
            passages, documents, writer=TemplateWriter(), find=Finder(passages), kind=kind
        )[0]
    ]
    lent = classroom(documents, passages)
    written = build(asked, lent, audience=ALL, prompt_version="1", limit=10, pairs=40, seed=1)
    assert Counter(pair.kind for pair in written.pairs) == dict.fromkeys(QuestionKind, 10)
    assert {pair.author.name for pair in written.pairs} == {"templates 2"}
    assert {example.question.kind for example in written.examples} == {QuestionKind.QUESTION}
    counted = stages(written, asked, 10, 40)
    assert counted[0] == Stage("examples", 10, 10, {"not_clean": 0})
    assert counted[2] == Stage("pairs", 40, 40, {"not_found_or_not_clean": 0})
    noted = card.write("x", written, Weights(Path("x"), "0" * 64), None, [Stage("seen", 9, 7, {"so_so": 2})])
    assert "| seen | 9 | 7 | so so: 2 |" in noted
