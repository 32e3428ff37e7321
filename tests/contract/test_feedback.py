"""Feedback in Postgres and in memory: seen by who may read what it is about, decided once per curator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.feedback import PostgresFeedback
from kiban.backends.postgres.library import PostgresLibrary
from kiban.domain.access import Audience, Principal
from kiban.domain.feedback import Evidence, Feedback, Rating
from kiban.domain.text import Span
from kiban.errors import NoSuchFeedback
from kiban.ports import FeedbackBox
from kiban.testing import MemoryFeedback, arrival

MORI, SATO = Principal("mori", frozenset({"hr", "curators"})), Principal("sato", frozenset({"curators"}))
READERS = {"all.md": "everyone", "hr.md": "hr"}
THUMB = Feedback(
    0, datetime(2026, 1, 1, tzinfo=UTC), "aoi", Rating.UP, "何日ですか。", "12日", "r1", comment="良い\0"
)


@dataclass(frozen=True)
class Shelf:
    """An empty box beside a document for everyone and one for hr."""

    box: FeedbackBox
    common: int
    restricted: int


@pytest.fixture(params=["memory", "postgres"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    if request.param == "memory":
        audiences = {number: Audience(frozenset({group})) for number, group in enumerate(READERS.values(), 1)}
        return Shelf(MemoryFeedback(audiences.__getitem__), 1, 2)
    postgres: Postgres = request.getfixturevalue("postgres")
    arrivals = [arrival(uri, "休暇は12日。", readers=[group]) for uri, group in READERS.items()]
    PostgresLibrary(postgres).put("files", arrivals, {})
    ids = {document.uri: document.id for document in PostgresLibrary(postgres).documents()}
    return Shelf(PostgresFeedback(postgres), ids["all.md"], ids["hr.md"])


def about(document_id: int) -> Feedback:
    proof = Evidence(document_id, 1, Span(0, 7), "休暇は12日。")
    return replace(THUMB, rating=Rating.DOWN, correction="12日", evidence=proof)


def test_what_is_kept_comes_back(shelf: Shelf) -> None:
    first, second = shelf.box.keep(about(shelf.common)), shelf.box.keep(THUMB)
    kept = shelf.box.all()
    assert [one.id for one in kept] == [first, second]
    assert replace(kept[0], id=0, at=THUMB.at, comment="") == replace(about(shelf.common), comment="")
    assert kept[1].evidence is None and not kept[1].teaches


def test_a_curator_sees_what_is_about_documents_they_may_read(shelf: Shelf) -> None:
    common, restricted = shelf.box.keep(about(shelf.common)), shelf.box.keep(about(shelf.restricted))
    shelf.box.keep(THUMB)
    assert {one.id for one in shelf.box.visible(MORI)} == {common, restricted}
    assert [one.id for one in shelf.box.visible(SATO)] == [common]
    with pytest.raises(NoSuchFeedback):
        shelf.box.decide(restricted, SATO, True, "")
    with pytest.raises(NoSuchFeedback):
        shelf.box.decide(999, MORI, True, "")


def test_two_curators_approve_and_one_objects(shelf: Shelf) -> None:
    number = shelf.box.keep(about(shelf.common))
    assert not shelf.box.decide(number, MORI, True, "確かに").approved
    assert shelf.box.decide(number, SATO, True, "").approved
    assert shelf.box.decide(number, SATO, False, "古い").refused
    (kept,) = shelf.box.visible(MORI)
    assert {(one.curator, one.approves, one.reason) for one in kept.decisions} == {
        ("mori", True, "確かに"), ("sato", False, "古い"),
    }  # fmt: skip


def test_feedback_goes_with_its_document(postgres: Postgres) -> None:
    library, box = PostgresLibrary(postgres), PostgresFeedback(postgres)
    library.put("files", [arrival("all.md", "休暇は12日。")], {})
    (document,) = library.documents()
    number = box.keep(about(document.id))
    box.decide(number, MORI, True, "")
    library.delete("files", ["all.md"])
    assert box.all() == []
