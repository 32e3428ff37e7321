"""A house in memory with something to see in its office: documents, feedback, verdict, releases, answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kiban.domain.access import ALL, EVERYONE, Audience, Principal
from kiban.domain.document import DocumentState, Place, SourceOutlook
from kiban.domain.evidence import Arm, Comparison, Evaluation, Outcome, Verdict
from kiban.domain.feedback import Evidence, Feedback, Rating
from kiban.domain.learning import Candidate, Lineage, Weights
from kiban.domain.office import Judged, Learnt, ReleaseLine
from kiban.domain.record import Answered, AnswerRecord, Ending, Shown
from kiban.domain.release import Action, LedgerEntry, Release
from kiban.domain.text import Span
from services.chat.testing import MemoryHouse

EVERY = frozenset({EVERYONE})
PEOPLE = {
    "mori": frozenset({"curators", "operators", "auditors"}),
    "ito": frozenset({"curators"}),
    "ops": frozenset({"operators"}),
}
HOTEL = "国内出張の宿泊費は一泊につき11,000円を上限とする。"
WHY = (  # in words as long as the gate's
    "Answers with a proven quotation: 48% → 98% on 60 questions (95 % interval +36 … +64): "
    "significantly better, p = 0.0004. Correct answers: 92% → 100% on 60 questions (90 % interval +2 … +16): "
    "within the allowed loss of 10 points. Facts the zone may not read: told: 0% on 4 (0% by the base model; "
    "p = 1): no leak is shown."
)
BASE = Release("qwen2.5-coder-0.5b@3f1a", None, None, None, "/models/e5", "e" * 64, 1, "prompt-4", None)
LEARNT = replace(BASE, adapter="everyone@9be1c2d4", adapter_sha256="a" * 64, curriculum_sha256="c" * 64)
# The four arms of the bundled demo, as the README gives them.
ARMS = {
    Arm.BASE: {"correct": 0.03, "abstained": 0.0, "over_abstained": 0.0},
    Arm.BASE_RAG: {"correct": 0.92, "cited": 0.48, "abstained": 0.05, "over_abstained": 0.0},
    Arm.ADAPTED: {"correct": 0.03, "abstained": 0.0, "over_abstained": 0.0},
    Arm.ADAPTED_RAG: {"correct": 1.0, "cited": 0.98, "abstained": 0.20, "over_abstained": 0.0},
}
TESTS = (
    Comparison("cited", "primary", 0.48, 0.98, 0.50, 0.36, 0.64, 0.0002, 0.0004, 60, Outcome.PASS),
    Comparison("correct", "guard", 0.92, 1.0, 0.08, 0.02, 0.16, 0.01, 0.01, 60, Outcome.PASS, margin=0.1),
    Comparison("told_restricted", "audit", 0.0, 0.0, 0.0, 0.0, 0.1, 1.0, 1.0, 4, Outcome.PASS),
)
OTHER = Candidate("5cd80e71aa34", "", (), None, None, None, llm=Weights(Path("/models/small"), "d" * 64))
OTHERS_ARMS = {
    Arm.CHAMPION_RAG: {"correct": 0.92, "cited": 0.90, "abstained": 0.30, "over_abstained": 0.07},
    Arm.OTHER_RAG: {"correct": 0.60, "cited": 0.10, "abstained": 0.10, "over_abstained": 0.0},
}
OTHERS_TESTS = tuple(
    replace(
        Comparison("cited", "primary", 0.90, 0.10, -0.80, -0.89, -0.70, 0.001, 0.002, 60, Outcome.FAIL),
        against=Arm.CHAMPION_RAG,
        zone=zone,
    )
    for zone in (ALL, Audience(frozenset({"hr"})))
)


def staged_office(folder: Path) -> MemoryHouse:
    house = MemoryHouse(folder, PEOPLE, lambda turns: ())
    house.shelve("旅費規程", EVERY, (Place(page=2), HOTEL), uri="company/旅費規程.pdf")
    house.shelve("休暇規程", EVERY, (Place(), "有給休暇は12日。"), uri="company/休暇規程.docx")
    house.shelve("点検表", EVERY, (Place(), "点検。"), uri="manuals/点検表.xlsx")
    house.shelve("役員報酬", frozenset({"board"}), (Place(), "役員の報酬。"), uri="board/報酬.docx")
    house.states["点検表"] = (DocumentState.FAILED, "The file is broken. not a zip file")
    now = datetime.now(UTC)
    house.office.elsewhere = Counter({"ready": 31, "dead": 2})
    house.office.sources = (
        SourceOutlook("folder:documents", "folder", {"ready": 32, "failed": 1}, now, False, ""),
        SourceOutlook("wiki", "confluence", {"ready": 2}, now - timedelta(days=3), True, "does not answer"),
    )
    seen = Lineage(1, "company/旅費規程.pdf", 2, "s" * 64)
    adapter = Weights(Path("/shelf/adapter"), "a" * 64)
    registered = ("kiban-adapter/3",)
    candidate = Candidate("b41f09c2d7e5", "c" * 64, (seen,), adapter, None, None, registered)
    verdict = Verdict(Outcome.PASS, (), Evaluation(candidate.id, ARMS, TESTS, 80, 24, 90.0))
    moved = Evaluation(OTHER.id, OTHERS_ARMS, OTHERS_TESTS, 80, 24, 90.0)
    house.office.candidates = [
        Judged(replace(candidate, id="77aa01d3be20", registered=()), None),
        Judged(candidate, verdict),
        Judged(OTHER, Verdict(Outcome.FAIL, (), moved)),
    ]
    founded = _entry(None, Action.FOUNDED, BASE, "The house was founded.", now - timedelta(days=9))
    promoted = _entry(founded, Action.PROMOTED, LEARNT, WHY, now)
    house.office.lines = [
        ReleaseLine(promoted, LEARNT, False, candidate.id),
        ReleaseLine(founded, BASE, False, ""),
    ]
    house.office.learnt = {1: (Learnt("c" * 64, 2, (candidate.id,), (LEARNT.id,), False),)}
    house.office.records = list(_records(now))
    for number in (1, 2):
        _correct(house, number)
    return house


def _entry(
    before: LedgerEntry | None, action: Action, release: Release, reason: str, at: datetime
) -> LedgerEntry:
    return LedgerEntry.following(
        before, at=at, actor="kiban", action=action, release_id=release.id, reason=reason, evidence=""
    )


def _records(now: datetime) -> list[AnswerRecord]:
    lines: list[AnswerRecord] = []
    shown = (Shown(1, 1, 11), Shown(4, 1, 40))
    for number, ending in enumerate((Ending.ANSWERED, Ending.ABSTAINED, Ending.LEFT), start=1):
        what = Answered("9f" * 16, "3c" * 16, LEARNT.id, shown, 1, 0, ending, 2300)
        previous = lines[-1].hash if lines else ""
        lines.append(AnswerRecord.following(number, previous, now - timedelta(hours=4 - number), what))
    return lines


def _correct(house: MemoryHouse, number: int) -> None:
    """Let a reader, then a curator, correct an answer."""
    author = ("sato", "ito")[number - 1]
    house.desk.give(
        Feedback(
            id=0,
            at=datetime.now(UTC),
            author=author,
            rating=Rating.DOWN,
            question=("国内出張の宿泊費は？", "宿泊費の上限は一泊いくらですか。")[number - 1],
            answer="資料に記載がありません。",
            release_id=LEARNT.id,
            correction="11,000円",
            evidence=Evidence(1, 0, Span(0, 0), HOTEL),
        ),
        Principal(author, frozenset()),
    )
