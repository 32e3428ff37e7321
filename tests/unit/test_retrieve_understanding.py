"""What a question means besides what it says: parts, what was asked before, abbreviations."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiban.backends import synonyms_file
from kiban.domain.access import Principal
from kiban.domain.question import Passage, Scope, Synonyms, Turn
from kiban.errors import SettingsError
from kiban.retrieve import decompose, rewrite
from kiban.retrieve.search import find, read
from kiban.retrieve.synonyms import spelt_out
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, WordTokenizer, arrival

SOMEONE = Principal("someone", frozenset())
EMBEDDER = HashEmbedder()
LEAVE = Synonyms((("有休", "年次有給休暇"), ("PO", "purchase order", "発注書")))


def shelf(**texts: str) -> MemorySearch:
    library = MemoryLibrary()
    for uri, text in texts.items():
        library.put("files", [arrival(f"{uri}.md", text)], {1: EMBEDDER.passages([text])})
    return MemorySearch(library)


def ask(
    index: MemorySearch,
    question: str,
    *,
    history: tuple[Turn, ...] = (),
    known: Synonyms = Synonyms(),  # noqa: B008
    scope: Scope = Scope(),  # noqa: B008
    limit: int = 2,
) -> list[Passage]:
    return find(
        question,
        SOMEONE,
        index=index,
        tokenizer=WordTokenizer(),
        embedder=EMBEDDER,
        generation=1,
        limit=limit,
        history=history,
        known=known,
        scope=scope,
    )


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("出張旅費規程と在宅勤務規程の違いは何ですか。", ("出張旅費規程", "在宅勤務規程")),
        ("What is the difference between VBR-2270 and PPR-9087?", ("VBR-2270", "PPR-9087")),
        ("宿泊費はいくらで、精算はいつまでですか。", ("宿泊費はいくらで", "精算はいつまでですか。")),
        ("有休は何日ですか？また、慶弔休暇は何日ですか？", ("有休は何日ですか？", "慶弔休暇は何日ですか？")),
        ("When is the audit and who signs the report?", ("When is the audit", "who signs the report?")),
    ],
)
def test_a_question_in_two_parts_is_two_questions(question: str, parts: tuple[str, ...]) -> None:
    assert decompose.parts(question) == parts


@pytest.mark.parametrize(
    "question",
    [
        "有休は何日ですか。",
        "生産量は増加したか、減少したか。",
        "安全と品質の責任者は誰ですか。",
        "アイレン種は白ワインですか、それとも赤ワインですか。",
        "What is HAART and how does it differ from AZT?",
        "Who approves travel and training?",
        "",
    ],
)
def test_one_question_stays_whole(question: str) -> None:
    assert decompose.parts(question) == ()


def test_each_part_of_a_question_has_its_passage_among_the_first() -> None:
    hotels = {f"h{number}": f"宿泊費はいくらか、宿泊費の表{number}" for number in range(5)}
    index = shelf(**hotels, due="精算はいつまでか、翌月五日")
    found = ask(index, "宿泊費はいくらで、精算はいつまでですか。", limit=3)
    assert {passage.uri[0] for passage in found} == {"h", "d"}


def test_rankings_are_interleaved_and_no_passage_comes_twice() -> None:
    one, two, three = ask(shelf(a="alpha", b="beta", c="gamma"), "alpha beta gamma", limit=3)
    assert decompose.interleave([[one, two], [one, three], []]) == [one, two, three]
    assert decompose.interleave([]) == []


def test_what_was_asked_before_is_searched_too() -> None:
    index = shelf(
        vbr="VBR-2270 校正の周期は十八か月",
        ppr="PPR-9087 校正の周期は十二か月",
        far="canteen opens at noon",
    )
    before = (Turn("user", "VBR-2270とは何ですか"), Turn("assistant", "PPR-9087ではありません"))
    assert ask(index, "校正の周期は", history=before)[0].uri == "vbr.md"
    assert [lane.lane for lane in ask(index, "校正の周期は", history=before)[0].why] == [
        "dense",
        "lexical",
        "dense, in context",
        "lexical, in context",
    ]


def test_only_the_askers_last_turn_counts_and_the_first_question_has_none() -> None:
    said = (Turn("user", "古い話"), Turn("user", "出張の話"), Turn("assistant", "答え"))
    assert rewrite.in_context("期限は", said) == "出張の話 期限は"
    assert rewrite.in_context("期限は", ()) == rewrite.in_context("期限は", said[2:]) == ""
    assert len(rewrite.in_context("期限は", (Turn("user", "長" * 5_000),))) < 500


@pytest.mark.parametrize(
    ("question", "spelt"),
    [
        ("有休は何日", "年次有給休暇は何日"),
        ("年次有給休暇は何日", "有休は何日"),
        ("Who signs a ＰＯ?", "who signs a purchase order 発注書?"),
        ("What is the purchase order number?", "what is the po 発注書 number?"),
        ("How do I report it?", ""),  # "po" stands in "report"
        ("宿泊費は", ""),
    ],
)
def test_abbreviations_are_spelt_out_both_ways(question: str, spelt: str) -> None:
    assert spelt_out(question, LEAVE) == spelt


def test_an_abbreviation_finds_the_text_that_spells_it_out() -> None:
    index = shelf(leave="年次有給休暇は二十日とする", other="社員食堂は十一時から")
    assert ask(index, "有休", known=LEAVE)[0].uri == "leave.md"


def test_the_ways_to_read_a_question_share_one_weight() -> None:
    before = (Turn("user", "出張の話"),)
    assert [reading.text for reading in read("有休は", before, LEAVE)] == [
        "有休は",
        "出張の話 有休は",
        "年次有給休暇は",
    ]
    for history in ((), before):
        for known in (Synonyms(), LEAVE):
            assert sum(reading.weight for reading in read("有休は", history, known)) == pytest.approx(1)


def test_a_scope_holds_for_every_way_to_read_a_question() -> None:
    index = shelf(leave="年次有給休暇は二十日", hr="年次有給休暇の表")
    found = ask(index, "有休", known=LEAVE, history=(Turn("user", "表"),), scope=Scope(under="leave"))
    assert [passage.uri for passage in found] == ["leave.md"]


def test_a_list_of_synonyms_is_read(tmp_path: Path) -> None:
    path = tmp_path / ".synonyms.yaml"
    path.write_text("readers: [everyone]\nsynonyms:\n  - [有休, 年次有給休暇]\n", "utf-8")
    assert synonyms_file.read(path) == Synonyms((("有休", "年次有給休暇"),))


@pytest.mark.parametrize(
    "content",
    [
        "synonyms: [[a, b]]",
        "readers: [hr]\nsynonyms: [[a, b]]",
        "readers: [everyone]\nsynonyms: [a]",
        "readers: [everyone]\nsynonyms: [[a]]",
        "readers: everyone\nsynonyms: [[a, b]]",
        "[",
        "",
    ],
)
def test_a_list_that_is_not_for_everyone_or_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / ".synonyms.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(SettingsError):
        synonyms_file.read(path)
