"""Which days' documents a question asks for, and what is done with that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from kiban.domain.access import Principal
from kiban.domain.document import Place
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.retrieve.dated import asked, fit, prefer
from kiban.retrieve.periods import Period, absolute
from kiban.retrieve.search import find
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, WordTokenizer, arrival

TODAY = date(2026, 11, 25)  # a Wednesday


def days(start: str, end: str) -> Period:
    return Period(date.fromisoformat(start) if start else date.min, date.fromisoformat(end or "9999-12-31"))


@pytest.mark.parametrize(
    ("question", "period"),
    [
        ("2024年の旅費規程", days("2024-01-01", "2025-01-01")),
        ("２０２４年４月以降の旅費規程", days("2024-04-01", "")),
        ("2024年4月から2025年3月までの議事録", days("2024-04-01", "2025-04-01")),
        ("2024年10月〜3月の月報", days("2024-10-01", "2025-04-01")),
        ("平成30年3月31日までの契約書", days("", "2018-04-01")),
        ("2020年より前の仕様書", days("", "2020-01-01")),
        ("令和元年度の宿泊費", days("2019-04-01", "2020-04-01")),
        ("R6年度版の規程", days("2024-04-01", "2025-04-01")),
        ("2024年度下期の計画書", days("2024-10-01", "2025-04-01")),
        ("先月の議事録で決まったこと", days("2026-10-01", "2026-11-01")),
        ("先々月の報告", days("2026-09-01", "2026-10-01")),
        ("昨年度の予算", days("2025-04-01", "2026-04-01")),
        ("一昨年の旅費規程", days("2024-01-01", "2025-01-01")),
        ("12月の経営会議の議事録", days("2025-12-01", "2026-01-01")),
        ("4月1日付の通知", days("2026-04-01", "2026-04-02")),
        ("Who was absent in the minutes of last week?", days("2026-11-16", "2026-11-23")),
        ("What does the 2024 travel policy say?", days("2024-01-01", "2025-01-01")),
        ("travel rules since April 2024", days("2024-04-01", "")),
        ("reports between April 2024 and June 2024", days("2024-04-01", "2024-07-01")),
        ("policies from before 2020", days("", "2020-01-01")),
        ("minutes from 2026-10-14", days("2026-10-14", "2026-10-15")),
        ("the FY2024 budget", days("2024-04-01", "2025-04-01")),
    ],
)
def test_a_question_that_plainly_asks_for_days(question: str, period: Period) -> None:
    assert asked(question, TODAY) == period


@pytest.mark.parametrize(
    "question",
    [
        "1995年に起きた地震は何か",
        "2016年6月の政策委員長はだれ？",
        "2000年に万国博覧会が開かれた場所はどこ？",
        "Who won the election of 2024?",
        "2024年13月の議事録",
        "部品2024円の資料",
        "3か月以内の議事録",
        "5月上旬に影響を受け始める地域は",
        "今年の有給休暇は何日ですか",
        "宿泊費はいくらですか",
        "PPR-9087のマニュアル",
    ],
)
def test_a_date_that_is_content_is_no_period(question: str) -> None:
    assert asked(question, TODAY) is None


@pytest.mark.parametrize(
    ("name", "period"),
    [
        ("minutes/2026-04-management.md", days("2026-04-01", "2026-05-01")),
        ("旅費規程_20240401.docx", days("2024-04-01", "2024-04-02")),
        ("旅費規程（令和6年度）", days("2024-04-01", "2025-04-01")),
        ("2024/旅費規程.md", days("2024-01-01", "2025-01-01")),
    ],
)
def test_names_of_documents_name_days(name: str, period: Period) -> None:
    assert [one.period for one in absolute(name)] == [period]


def passage(number: int, score: float, title: str, **more: object) -> Passage:
    one = Passage(number, number, f"{number}.md", title, 1, Place(), Span(0, 1), "x", "x", score)
    return replace(one, **more)  # type: ignore[arg-type]


def test_what_fits_comes_first_and_nothing_is_left_out() -> None:
    found = [
        passage(1, 1.0, "旅費規程（2023年度）"),
        passage(2, 0.9, "旅費規程（令和6年度）"),
        passage(3, 0.8, "旅費規程"),
        passage(4, 0.1, "社員食堂（2024年度）"),
    ]
    preferred = prefer(found, days("2024-04-01", "2025-04-01"))
    assert [one.chunk_id for one in preferred] == [2, 1, 3, 4]
    assert all(0 <= one.score <= 1 for one in preferred)


def test_a_name_says_more_than_the_day_a_file_was_copied() -> None:
    copied, asked_for = datetime(2024, 6, 1, tzinfo=UTC), days("2024-04-01", "2025-04-01")
    assert fit(passage(1, 1.0, "旅費規程（2021年度）", modified=copied), asked_for) == 0
    assert fit(passage(1, 1.0, "旅費規程", modified=copied), asked_for) == 1
    assert fit(passage(1, 1.0, "旅費規程", uri="2024年度/規程.md"), asked_for) == 1
    assert fit(passage(1, 1.0, "旅費規程"), asked_for) == 0


def test_half_of_a_fiscal_year_fits_a_calendar_year_less() -> None:
    asked_for = days("2024-01-01", "2025-01-01")
    before, within = (fit(passage(1, 1.0, f"{at}年度"), asked_for) for at in (2023, 2024))
    assert 0 < before < 0.3 < 0.7 < within < 1


def test_a_search_prefers_the_minutes_of_last_month() -> None:
    library, embedder = MemoryLibrary(), HashEmbedder()
    for at in ("2026-08", "2026-09", "2026-10", "2026-11"):
        text = "経営会議 議事録 出席者 田中"
        library.put("files", [arrival(f"minutes/{at}.md", text)], {1: embedder.passages([text])})

    def first(today: date | None) -> str:
        found = find(
            "先月の経営会議の議事録の出席者",
            Principal("someone", frozenset()),
            index=MemorySearch(library),
            tokenizer=WordTokenizer(),
            embedder=embedder,
            generation=1,
            today=today,
        )
        assert len(found) == 4
        return found[0].uri

    assert first(TODAY) == "minutes/2026-10.md"
    assert first(date(2026, 10, 3)) == "minutes/2026-09.md"
    assert first(None) == "minutes/2026-08.md"
