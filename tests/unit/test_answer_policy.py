"""What a company's policy lets be asked and shown: blocked words in every spelling, veiled data, streams."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from answering import passage
from hypothesis import given
from hypothesis import strategies as st

from kiban.answer.blocklist import Blocklist
from kiban.answer.cite import verify
from kiban.answer.veil import veil
from kiban.answer.withhold import Held, Withholding, refuse, withhold
from kiban.backends import policy_file
from kiban.backends.sensitive.detector import SensitiveDetector
from kiban.backends.sudachi import SudachiTokenizer
from kiban.domain.access import Principal
from kiban.domain.policy import Policy, Rule, Veil, Where
from kiban.domain.question import PROSE, Answer, Form
from kiban.domain.sensitive import Finding, Kind
from kiban.domain.text import Span
from kiban.errors import SettingsError
from kiban.settings import ROOT

BORDERS = SudachiTokenizer().borders
FIND = SensitiveDetector().findings
RULE = Rule("weapons", ("爆弾", "バス", "ばか", "bomb", "build a weapon"))
ANYBODY = Principal("sato", frozenset())


def found(text: str, *rules: Rule) -> str | None:
    match = Blocklist(rules or (RULE,), BORDERS).find(text)
    return text[match.start : match.end] if match else None


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("爆弾を作る", "爆弾"),
        ("爆 弾を作る", "爆 弾"),
        ("爆・弾を作る", "爆・弾"),
        ("爆\u200b弾を作る", "爆\u200b弾"),
        ("爆\n弾", "爆\n弾"),
        ("ﾊﾞｽに乗る", "ﾊﾞｽ"),
        ("ハ\u3099スに乗る", "ハ\u3099ス"),
        ("ばかな話", "ばか"),
        ("a ＢＯＭＢ here", "ＢＯＭＢ"),
        ("Build  a\nWeapon!", "Build  a\nWeapon"),
    ],
)
def test_a_blocked_word_is_found_however_it_is_written(text: str, hit: str) -> None:
    assert found(text) == hit


@pytest.mark.parametrize(
    "text",
    [
        "バスケットの試合",
        "今日ばかりは休む",
        "bombastic words",
        "爆発と弾薬庫",
        "weapon building",
        "爆破",
        "",
        "バスタブ",
    ],
)
def test_a_word_inside_another_is_not_meant(text: str) -> None:
    assert found(text) is None


def test_a_rule_of_signs_alone_matches_nothing() -> None:
    assert found("何でも", Rule("empty", ("", " ", "・"))) is None


def test_rules_hold_where_and_for_whom_they_say() -> None:
    rule = Rule("a", ("b",), frozenset({Where.ANSWER}), frozenset({"board"}))
    policy = Policy((rule,), (Veil(frozenset({Kind.PHONE}), frozenset({"hr"})), Veil(frozenset({Kind.CARD}))))
    assert policy.rules_for(ANYBODY, Where.ANSWER) == (rule,)
    assert policy.rules_for(ANYBODY, Where.QUESTION) == ()
    assert policy.rules_for(Principal("mori", frozenset({"board"})), Where.ANSWER) == ()
    assert policy.veiled_for(ANYBODY) == {Kind.PHONE, Kind.CARD}
    assert policy.veiled_for(Principal("mori", frozenset({"hr"}))) == {Kind.CARD}


def test_a_veiled_passage_keeps_its_places_and_can_be_quoted() -> None:
    text = "連絡先は 090-1234-5678 です。宿泊費は11,000円まで。"
    at = text.index("090")
    veiled = veil(passage(text), [Finding(Kind.PHONE, Span(at, at + 13))], frozenset({Kind.PHONE}))
    assert veiled.original == "連絡先は ■■■■■■■■■■■■■ です。宿泊費は11,000円まで。"
    (citation,) = verify("「宿泊費は11,000円まで。」[1]", [veiled]).citations
    assert citation.span.of(text) == citation.quote == "宿泊費は11,000円まで。"
    assert not verify("「連絡先は 090-1234-5678 です。」[1]", [veiled]).citations
    assert veil(passage(text), [Finding(Kind.PHONE, Span(5, 18))], frozenset({Kind.CARD})).original == text


def held(*rules: Rule, veiled: Sequence[Kind] = (), refuses: object = None) -> Held:
    return Held(Blocklist(rules, BORDERS), frozenset(veiled), FIND, refuses)  # type: ignore[arg-type]


def passed(pieces: Sequence[str], of: Held) -> tuple[str, str]:
    """Return what is sent of an answer, and the rule that ended it."""
    kept, sent = Withholding(of), ""
    for piece in pieces:
        sent += kept.feed(piece)
        if kept.refused:
            return sent, kept.refused.name
    sent += kept.finish()
    return sent, kept.refused.name if kept.refused else ""


TEXT = "一つ目の文です。次の文で爆弾の話をします。その後も続きます。本当に長く続きます。"


@given(st.lists(st.integers(1, len(TEXT) - 1), max_size=12))
def test_nothing_of_the_sentence_with_a_blocked_word_is_sent(cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts)), len(TEXT)]
    pieces = [TEXT[a:b] for a, b in pairwise(places)]
    sent, rule = passed(pieces, held(RULE))
    assert rule == "weapons"
    assert "爆" not in sent
    assert TEXT.startswith(sent)


CONTACT = "担当は総務部です。電話番号は090-1234-5678、または 03-1234-5678 です。メールは使いません。"


@given(st.lists(st.integers(1, len(CONTACT) - 1), max_size=12))
def test_a_number_is_veiled_however_the_answer_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts)), len(CONTACT)]
    pieces = [CONTACT[a:b] for a, b in pairwise(places)]
    sent, rule = passed(pieces, held(veiled=[Kind.PHONE]))
    assert (sent, rule) == (
        "担当は総務部です。電話番号は〔電話番号〕、または 〔電話番号〕 です。メールは使いません。",
        "",
    )


def test_an_answer_flows_while_it_is_held_to_words_alone() -> None:
    kept = Withholding(held(RULE))
    sent = [kept.feed(letter) for letter in "あいうえおかきくけこ" * 5]
    assert len("".join(sent)) >= 50 - 25
    assert "".join([*sent, kept.finish()]) == "あいうえおかきくけこ" * 5


def test_a_sentence_without_end_is_not_held_for_ever() -> None:
    kept = Withholding(held(veiled=[Kind.PHONE]))
    assert kept.feed("あ" * 1000)


def test_a_model_that_judges_is_asked_before_anything_is_sent() -> None:
    asked: list[str] = []

    def refuses(text: str) -> str:
        asked.append(text)
        return "toxic" if "ひどい" in text else ""

    sent, label = passed(["よい文です。", "ひどい文です。", "あと。"], held(refuses=refuses))
    assert (sent, label) == ("よい文です。", "toxic")
    assert "".join(asked).startswith("よい文です。ひどい文です。")


async def answering(*pieces: str, closed: list[bool] | None = None) -> AsyncGenerator[str | Answer]:
    try:
        for piece in pieces:
            yield piece
        yield Answer("".join(pieces), (), (passage("a"),), abstained=False, release_id="r")
    finally:
        if closed is not None:
            closed.append(True)


async def test_a_refused_answer_ends_with_a_notice_without_sources_and_stops_the_model() -> None:
    closed: list[bool] = []
    pieces = [TEXT[at : at + 5] for at in range(0, len(TEXT), 5)]
    told = [
        piece async for piece in withhold(answering(*pieces, closed=closed), held(RULE), "何？", "r", PROSE)
    ]
    last = told[-1]
    assert isinstance(last, Answer) and closed == [True]
    assert last.text == "".join(map(str, told[:-1]))
    assert last.text == "一つ目の文です。\n\n（社内の規定により、ここから先は表示できません。）"
    assert (last.refused_by, last.passages, last.citations, last.abstained) == ("weapons", (), (), False)


async def test_without_policy_an_answer_passes_at_once() -> None:
    told = [piece async for piece in withhold(answering("爆", "弾"), held(), "何？", "r", PROSE)]
    assert told[:2] == ["爆", "弾"] and isinstance(told[2], Answer)


@pytest.mark.parametrize(
    ("text", "shown", "rule"),
    [
        ('{"a": "電話番号は 090-1234-5678"}', {"a": "電話番号は 〔電話番号〕"}, ""),
        ('{"a": "爆弾"}', None, "weapons"),
        ('{"card": 4111111111111111}', None, "veiled value"),
        ('{"a": 1}', {"a": 1}, ""),
    ],
)
async def test_json_is_held_back_whole_and_stays_json(text: str, shown: object, rule: str) -> None:
    form = Form(schema="{}")
    of = held(RULE, veiled=[Kind.PHONE, Kind.CARD])
    told = [piece async for piece in withhold(answering(text[:5], text[5:]), of, "何？", "r", form)]
    last = told[-1]
    assert isinstance(last, Answer)
    assert last.refused_by == rule
    assert (json.loads(last.text) if last.text else None) == shown


async def test_a_question_that_may_not_be_asked_is_refused_in_its_language_or_the_rules_words() -> None:
    told = [piece async for piece in refuse(RULE, "How?", "r", PROSE)]
    assert told[0] == "Company policy does not allow an answer to this question."
    own = Rule("a", ("b",), says="経理部へ。")
    assert (await anext(refuse(own, "How?", "r", PROSE))) == "経理部へ。"


def test_the_example_is_a_policy() -> None:
    policy = policy_file.read(ROOT / "infra" / "policy.example.toml")
    assert [rule.name for rule in policy.rules] == ["weapons", "insults", "inside information"]
    assert Kind.MY_NUMBER in policy.veiled_for(ANYBODY)
    assert policy.judge is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[blocked]]\nname = 'a'", "blocked.0.words"),
        ("[[blocked]]\nname = 'a'\nwords = ['b']\nwhere = ['here']", "blocked.0.where"),
        ("[[veiled]]\nkinds = ['shoe size']", "veiled.0.kinds"),
        ("[judge]\nmodel = 'a'\nlabels = []", "judge.labels"),
        ("typo = 1", "typo"),
        ("[", "policy.toml"),
    ],
)
def test_a_wrong_policy_is_refused_by_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "policy.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=told):
        policy_file.read(tmp_path / "policy.toml")
