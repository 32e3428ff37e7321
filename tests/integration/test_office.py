"""What those see who run the house: everything counted, and by name only what they may read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from small_house import SmallHouse

from kiban.backends.postgres.connect import Postgres
from kiban.domain.access import ALL, Principal
from kiban.domain.document import DocumentState
from kiban.domain.learning import Candidate, Curriculum, Lineage, TrainingPair, Weights
from kiban.domain.record import Answered, Ending, Shown
from kiban.domain.release import Action, Release
from kiban.release import ledger
from kiban.wiring.documents import Documents
from kiban.wiring.office import Office
from services.chat.office_shapes import (
    answer_lineage_json,
    document_lineage_json,
    overview_json,
    release_line_json,
)
from services.chat.testing import MemoryHouse, serving

OPERATOR, MORI = Principal("ops", frozenset({"operators"})), Principal("mori", frozenset({"operators", "hr"}))


@pytest.fixture
def house(tmp_path: Path, postgres: Postgres) -> Iterator[SmallHouse]:
    house = SmallHouse(tmp_path, postgres)
    yield house
    house.close()


@pytest.fixture
def office(house: SmallHouse) -> Office:
    return Office(house.furniture, Documents(house.furniture))


def learn(house: SmallHouse, uri: str) -> tuple[Curriculum, Release]:
    """Put a release in the ledger whose adapter saw one document."""
    document, kept = house.document(uri), house.furniture.ledger
    saw = Lineage(document.id, document.uri, document.version, document.sha256)
    curriculum = Curriculum(ALL, (), (TrainingPair("何円", "13,800円", (), (saw,), ALL),), "prompt-1", seed=7)
    kept.keep_curriculum(curriculum)
    taught = replace(
        house.releases.base,
        adapter="everyone@1234",
        adapter_path="/shelf/everyone@1234",
        adapter_sha256="a" * 64,
        curriculum_sha256=curriculum.sha256,
    )
    adapter = Weights(Path("/candidates/1/adapter"), "a" * 64)
    folder = house.furniture.candidates.begin("recipe")
    folder.keep_candidate(Candidate(folder.id, curriculum.sha256, (saw,), adapter, None, None))
    kept.append(
        after=ledger.last_seen(kept), actor="aoi", action=Action.PROMOTED, release=taught,
        reason="better", evidence=str(folder.report),
    )  # fmt: skip
    return curriculum, taught


def test_documents_are_counted_for_all_and_named_for_readers(house: SmallHouse, office: Office) -> None:
    (house.folder / "pay/broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (house.folder / "rules/empty.md").write_text("")
    house.ingest()
    overview = office.overview()
    assert overview.states == {"ready": 2, "failed": 2}
    assert overview.in_force == house.releases.in_force().id
    assert json.dumps(overview_json(overview))
    failed = office.documents(DocumentState.FAILED, OPERATOR)
    assert [one.uri for one in failed.seen] == ["rules/empty.md"] and failed.seen[0].reason
    assert failed.others == 1
    everything = office.documents(None, MORI)
    assert (len(everything.seen), everything.others) == (4, 0)


def test_where_a_document_went_and_that_it_is_withdrawn(house: SmallHouse, office: Office) -> None:
    curriculum, taught = learn(house, "rules/travel.pdf")
    travel = house.document("rules/travel.pdf")
    lineage = office.lineage(travel.id, OPERATOR)
    assert lineage and lineage.in_force
    (learnt,) = lineage.learnt
    candidate = office.judged()[0].candidate.id
    assert learnt.curriculum_sha256 == curriculum.sha256
    assert (learnt.candidates, learnt.releases, learnt.tainted) == ((candidate,), (taught.id,), False)
    assert office.lineage(house.document("pay/pay.md").id, OPERATOR) is None

    (house.folder / "rules/.readers.yaml").write_text("readers: [hr]")
    house.ingest()
    lineage = office.lineage(travel.id, MORI)
    assert lineage and lineage.learnt[0].tainted and not lineage.in_force
    assert json.dumps([document_lineage_json(lineage), *map(release_line_json, office.releases())])
    newest, founding = office.releases()
    assert (newest.tainted, newest.candidate, founding.tainted) == (True, candidate, False)


def test_where_an_answer_came_from(house: SmallHouse, office: Office) -> None:
    _, taught = learn(house, "rules/travel.pdf")
    travel, pay = house.document("rules/travel.pdf"), house.document("pay/pay.md")
    shown = (Shown(travel.id, 1, 1), Shown(pay.id, 1, 2))
    what = Answered("a" * 32, "q" * 32, taught.id, shown, 1, 0, Ending.ANSWERED)
    lines = [house.furniture.records.keep(one) for one in (what, replace(what, shown=()), what)]
    assert office.answers(None) == lines[::-1]
    assert office.answers(lines[1].seq) == lines[:1]
    found = office.answer(lines[0].seq, OPERATOR)
    assert json.dumps(answer_lineage_json(found) if found else None)
    assert found and list(found.documents) == [travel.id]
    assert found.release == taught and [one.candidate.id for one in found.candidates]
    assert office.answer(99, OPERATOR) is None


RIGHTS = {  # by route, who besides nobody may call it
    "/v1/operate": "operators",
    "/v1/operate/documents": "operators",
    "/v1/operate/documents/1": "operators",
    "/v1/operate/releases": "operators",
    "/v1/operate/candidates": "operators",
    "/v1/operate/answers": "auditors",
}


def test_the_office_is_open_to_its_roles_alone(tmp_path: Path) -> None:
    roles = ("curators", "operators", "auditors")
    house = MemoryHouse(tmp_path, {role: frozenset({role}) for role in roles}, lambda turns: ())
    house.shelve("規程", frozenset({"everyone"}))
    with serving(house) as url, httpx.Client(base_url=url) as client:
        for route, right in RIGHTS.items():
            for role in ("reader", *roles):
                token = {"Authorization": f"Bearer {house.token(role)}"}
                refused = client.get(route, headers=token).status_code == 403
                assert refused == (role != right), (route, role)
            assert client.get(route).status_code == 401
        assert client.get("/operate").status_code == 200
