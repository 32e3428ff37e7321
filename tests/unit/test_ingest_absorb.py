"""What a run does, and what it does not do again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace

import pytest

from kiban.domain.document import Document, DocumentState, IngestReport
from kiban.errors import BrokenFile, PartUnavailable
from kiban.ingest import absorb
from kiban.ingest.absorb import Cutter, Reading
from kiban.ingest.chunking import Chunking
from kiban.ingest.survey import CAREFUL, Guard, survey
from kiban.ports import Vector
from kiban.testing import HashEmbedder, MemoryLibrary, MemoryParser, MemoryQueue, MemorySource, WordTokenizer

LONG = "旅費は実費とする。" * 100


@dataclass
class Office:
    """A source and a library, and what stands between them."""

    source: MemorySource = field(default_factory=MemorySource)
    library: MemoryLibrary = field(default_factory=MemoryLibrary)
    parser: MemoryParser = field(default_factory=MemoryParser)
    embedder: HashEmbedder = field(default_factory=HashEmbedder)
    queue: MemoryQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(self.library)

    @property
    def reading(self) -> Reading:
        return Reading(self.library, self.queue, self.parser, (Cutter(WordTokenizer(), {1: self.embedder}),))

    def write(self, uri: str, text: str | BrokenFile, *readers: str) -> None:
        self.parser.says[uri] = text
        self.source.write(uri, str(text), *(readers or ("everyone",)))

    def run(self, **how: int) -> IngestReport:
        return absorb.run(self.source, self.reading, **how)  # type: ignore[arg-type]

    def survey(self, guard: Guard = CAREFUL) -> IngestReport:
        return survey(self.source, self.library, self.queue, guard)

    def document(self, uri: str) -> Document:
        return self.library.shelved[self.source.name, uri]

    def said(self, uri: str) -> str:
        return "".join(chunk.original for chunk in self.library.arrivals["memory", uri].chunks)


@pytest.fixture
def office() -> Office:
    office = Office()
    office.write("a.md", "日当は二千円。")
    office.write("b.md", LONG, "hr")
    office.source.people = {"sato": frozenset({"hr"})}
    return office


def test_a_first_run_stores_everything(office: Office) -> None:
    report = office.run()
    assert (report.added, report.changed, report.failed) == (2, 0, ())
    assert office.said("b.md") == LONG
    assert report.chunks == sum(len(arrival.chunks) for arrival in office.library.arrivals.values()) > 2
    assert office.library.people == {office.source.name: {"sato": frozenset({"hr"})}}


def test_a_second_run_reads_and_embeds_nothing(office: Office) -> None:
    office.run()
    office.parser.parsed.clear()
    office.embedder.calls.clear()
    office.source.fetched.clear()
    report = office.run()
    assert report == IngestReport(unchanged=2, seconds=report.seconds)
    assert office.parser.parsed == office.embedder.calls == office.source.fetched == []


def test_a_batch_is_embedded_in_one_call_and_stored_in_one_transaction(office: Office) -> None:
    report = office.run()
    assert office.embedder.calls == [report.chunks]
    assert office.library.puts == [("a.md", "b.md")]


def test_every_chunk_has_the_vector_of_its_own_text(office: Office) -> None:
    office.run()
    for key, arrival in office.library.arrivals.items():
        texts = [absorb.chunking.embedding_text(arrival.title, chunk) for chunk in arrival.chunks]
        assert office.library.vectors[key] == {1: [office.embedder.query(text) for text in texts]}


def test_changed_content_replaces_the_old_as_a_new_version(office: Office) -> None:
    office.run()
    office.write("a.md", "日当は三千円。")
    report = office.run()
    assert (report.added, report.changed, report.unchanged) == (0, 1, 1)
    assert office.said("a.md") == "日当は三千円。"
    assert office.library.documents()[0].version == 2


def test_a_deleted_file_vanishes(office: Office) -> None:
    office.run()
    office.source.remove("b.md")
    assert office.run().deleted == 1
    assert [document.uri for document in office.library.documents()] == ["a.md"]
    assert ("memory", "b.md") not in office.library.arrivals


def test_files_of_another_source_are_left_alone(office: Office) -> None:
    office.run()
    survey(MemorySource("other"), office.library, office.queue)
    assert len(office.library.documents("memory")) == 2


def test_narrowed_readers_move_the_document_without_reading_it(office: Office) -> None:
    office.run()
    office.parser.parsed.clear()
    office.write("a.md", "日当は二千円。", "hr")
    report = office.run()
    assert (report.moved_audience, report.changed, report.unchanged) == (1, 0, 1)
    assert office.library.documents()[0].audience.groups == {"hr"}
    assert office.parser.parsed == []


def test_readers_are_narrowed_before_new_content_is_read(office: Office) -> None:
    office.run()
    office.write("a.md", "秘密の日当。", "hr")
    assert office.survey().moved_audience == 1
    assert office.document("a.md").state is DocumentState.WAITING
    assert office.library.documents()[0].audience.groups == {"hr"}
    assert office.said("a.md") == "日当は二千円。"


def test_a_file_that_fails_is_recorded_and_the_rest_goes_on(office: Office) -> None:
    office.write("bad.pdf", BrokenFile("cut short"))
    office.write("empty.md", "")
    report = office.run()
    assert report.added == 2
    assert dict(report.failed) == {
        "bad.pdf": "The file is damaged. cut short",
        "empty.md": "The file holds no text. no text",
    }
    failed = [document for document in office.library.documents() if document.state is DocumentState.FAILED]
    assert [document.reason for document in failed] == [reason for _, reason in sorted(report.failed)]


def test_what_an_older_version_said_is_gone_when_the_new_one_fails(office: Office) -> None:
    office.run()
    office.write("a.md", BrokenFile("cut short"))
    office.run()
    assert ("memory", "a.md") not in office.library.arrivals


def test_a_failed_file_is_tried_three_times_and_then_left_until_it_changes(office: Office) -> None:
    office.write("bad.pdf", BrokenFile("cut short"))
    for state in ("failed", "failed", "dead", "dead"):
        office.run()
        assert office.document("bad.pdf").state == state
        office.run()  # not due yet
        office.queue.wait(3600)
    assert office.document("bad.pdf").attempts == 3
    assert office.parser.parsed.count("bad.pdf") == 3
    office.parser.says["bad.pdf"] = "治った。"
    office.source.write("bad.pdf", "治った。", "everyone")
    assert office.run().changed == 1
    assert office.said("bad.pdf") == "治った。"


class _FallsSilent(HashEmbedder):
    """An embedder that answers once."""

    def passages(self, texts: list[str]) -> list[Vector]:  # type: ignore[override]
        if self.calls:
            raise PartUnavailable("embedder")
        return list(super().passages(texts))


def test_a_run_that_is_cut_off_between_batches_goes_on_where_it_stopped(office: Office) -> None:
    office.write("c.md", "三つ目。")
    office.embedder = _FallsSilent()
    with pytest.raises(PartUnavailable):
        office.run(batch_size=1)
    ready = [one.uri for one in office.library.documents() if one.state is DocumentState.READY]
    assert ready == ["a.md"]
    office.embedder = HashEmbedder()
    office.parser.parsed.clear()
    report = office.run(batch_size=1)
    assert (report.added, report.unchanged) == (2, 1)
    assert office.parser.parsed == ["b.md", "c.md"]


def test_a_dead_part_fails_no_document(office: Office) -> None:
    office.embedder = _FallsSilent()
    office.embedder.calls.append(0)
    with pytest.raises(PartUnavailable):
        office.run()
    states = {(one.state, one.attempts) for one in office.library.documents()}
    assert states == {(DocumentState.WAITING, 0)}


def test_every_generation_gets_its_vectors(office: Office) -> None:
    cutter = Cutter(WordTokenizer(), {1: office.embedder, 4: HashEmbedder(8)})
    absorb.run(office.source, replace(office.reading, cutters=(cutter,)))
    for key, arrival in office.library.arrivals.items():
        by_generation = office.library.vectors[key]
        assert {generation: len(of) for generation, of in by_generation.items()} == dict.fromkeys(
            (1, 4), len(arrival.chunks)
        )
        assert len(by_generation[4][0]) == 8


def test_while_two_cuts_live_each_document_is_read_once_and_stored_in_both(office: Office) -> None:
    short = Cutter(WordTokenizer(), {2: HashEmbedder(8)}, Chunking(60, 90), cut=2)
    office.library.cuts[2] = 2
    report = absorb.run(office.source, replace(office.reading, cutters=(*office.reading.cutters, short)))
    long = office.library.arrivals["memory", "b.md"].chunks
    besides = office.library.besides["memory", "b.md", 2].chunks
    assert len(besides) > len(long) and "".join(chunk.original for chunk in besides) == LONG
    assert sorted(office.parser.parsed) == ["a.md", "b.md"]
    assert office.library.puts == [("a.md", "b.md")]
    assert (report.added, report.chunks) == (2, len(long) + 1)


def test_progress_counts_documents(office: Office) -> None:
    seen: list[tuple[int, int, str]] = []
    absorb.run(
        office.source,
        office.reading,
        batch_size=1,
        progress=lambda done, total, what: seen.append((done, total, what)),
    )
    assert seen == [(1, 1, "documents"), (2, 2, "documents")]


def test_new_content_waits_while_the_old_answers(office: Office) -> None:
    office.run()
    office.write("a.md", "日当は三千円。")
    office.survey()
    assert office.document("a.md").state is DocumentState.WAITING
    assert office.said("a.md") == "日当は二千円。"


def test_another_tag_over_the_same_content_reads_nothing(office: Office) -> None:
    office.run()
    office.parser.parsed.clear()
    office.source.touch("a.md", "another etag")
    report = office.run()
    assert (report.changed, report.unchanged, office.parser.parsed) == (0, 2, [])
    assert (office.document("a.md").tag, office.document("a.md").version) == ("another etag", 1)


def test_a_renamed_document_is_moved_and_not_read(office: Office) -> None:
    office.run()
    before = office.document("b.md")
    office.source.rename("b.md", "人事/b.md")
    office.parser.parsed.clear()
    report = office.run()
    assert (report.renamed, report.added, report.deleted, office.parser.parsed) == (1, 0, 0, [])
    after = office.document("人事/b.md")
    assert (after.id, after.version, after.state) == (before.id, 1, DocumentState.READY)
    assert office.said("人事/b.md") == LONG


def test_a_copy_is_no_rename(office: Office) -> None:
    office.run()
    office.write("copy.md", "日当は二千円。")
    report = office.run()
    assert (report.renamed, report.added) == (0, 1)


def test_a_source_that_lists_nothing_loses_nothing_until_a_person_says_so(office: Office) -> None:
    for number in range(20):
        office.write(f"{number}.md", f"第{number}条")
    office.run()
    for number in range(20):
        office.source.remove(f"{number}.md")
    office.write("a.md", "日当は二千円。", "hr")
    report = office.run()
    assert (report.deleted, report.held_back, report.moved_audience) == (0, 20, 1)
    assert "20 of 22" in office.queue.status()[0].refused
    assert office.survey(Guard(allowed=True)).deleted == 20
    assert office.queue.status()[0].refused == ""
    assert len(office.queue.tombstones()) == 20


def test_deltas_name_what_is_gone_and_are_asked_from_the_cursor(office: Office) -> None:
    office.source = MemorySource(deltas=True)
    office.write("a.md", "一")
    office.write("b.md", "二")
    office.run()
    office.source.remove("b.md")
    office.write("c.md", "三")
    report = office.run()
    assert (report.added, report.deleted, report.unchanged) == (1, 1, 0)
    assert office.library.shelved.keys() == {("memory", "a.md"), ("memory", "c.md")}


def test_a_refused_deletion_is_asked_for_again(office: Office) -> None:
    office.source = MemorySource(deltas=True)
    for number in range(20):
        office.write(f"{number}.md", f"第{number}条")
    office.run()
    for number in range(20):
        office.source.remove(f"{number}.md")
    assert office.run().held_back == office.run().held_back == 20


def test_a_fault_of_ours_does_not_come_back_for_ever(office: Office) -> None:
    office.parser.says.pop("a.md")  # a KeyError, as from a bug
    for _ in range(6):
        with contextlib.suppress(KeyError):
            office.run()
    assert office.document("a.md").state is DocumentState.DEAD
    assert "died 3 times" in office.document("a.md").reason
    assert office.document("b.md").state is DocumentState.READY
