"""Two cuts of the same documents live side by side: each answers as if alone, both follow the document."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from two_cuts import AUDIENCES, NEW, OLD, SHORT, LetterTokenizer, TwoCuts, cut_as, document

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres import posture
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.schema import migrate
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.generation import Cut
from kiban.domain.question import Scope
from kiban.ingest.chunking import STANDARD
from kiban.testing import (
    MemoryLibrary,
    MemorySearch,
    WordTokenizer,
    arrival,
)
from kiban.wiring.generations import cut_again

Admin = psycopg.Connection[tuple[Any, ...]]
LAB, NOBODY = Principal("ken", frozenset({"lab"})), Principal("nobody", frozenset())

TALLIED = {
    "select zone_id, cut_id, sum(chunks), sum(length) from kiban.zone_tally group by 1, 2"
    " having sum(chunks) <> 0":
    "select zone_id, cut_id, count(*), sum(length) from kiban.chunk group by 1, 2",
    "select term, zone_id, sum(chunks) from kiban.term_tally group by 1, 2 having sum(chunks) <> 0":
    "select term, zone_id, count(*) from kiban.posting group by 1, 2",
}  # fmt: skip

# What a document says in a cut, but for the keys it is stored under.
SAID = """
select uri, ordinal, chunk.span_start, chunk.span_end, heading, original, normalised, length, lead,
    (select array_agg((replace(term, cut_id || E'\\x1f', ''), frequency, posting.length)::text order by term)
     from kiban.posting where chunk_id = chunk.id),
    (select array_agg((kind, s.span_start, s.span_end)::text order by s.span_start)
     from kiban.sensitive as s where chunk_id = chunk.id),
    (select array_agg(caption order by picture.ordinal) from kiban.picture where chunk_id = chunk.id),
    (select array_agg(vector::text order by generation_id) from kiban.embedding where chunk_id = chunk.id)
from kiban.chunk join kiban.document on document.id = document_id where cut_id = %s order by uri, ordinal
"""


@pytest.fixture
def library(postgres: Postgres) -> TwoCuts:
    return TwoCuts(postgres)


def test_cutting_what_is_stored_gives_what_storing_gives(library: TwoCuts, admin: Admin) -> None:
    chance = random.Random(1)
    documents = [document(chance, f"{number}.md") for number in range(12)]
    library.put(*documents)
    library.build()
    new = library.new
    assert new is not None
    cut = library.known.cut_of(new)
    assert cut == Cut(cut.id, "letters-1", SHORT.name) != library.known.cut_of(library.old)
    again = admin.execute(SAID, [cut.id]).fetchall()
    library.put(*documents)
    assert admin.execute(SAID, [cut.id]).fetchall() == again
    assert len(again) > len(admin.execute(SAID, [1]).fetchall()) > 12
    assert all(library.known.one(generation).whole for generation in (library.old, new))


def test_tallies_are_counted_cut_by_cut_whatever_happens_to_documents(library: TwoCuts, admin: Admin) -> None:
    chance = random.Random(2)
    library.build()
    for _ in range(30):
        title = f"{chance.randrange(8)}.md"
        parsed, readers = document(chance, title)
        file = arrival(title, readers=readers).file
        there = any(known.uri == title for known in library.library.documents("files"))
        match chance.randrange(6):
            case 0 if there:
                library.library.move_audience("files", file)
            case 1 if there:
                library.library.delete("files", [title])
            case 2:
                library.library.fail("files", file, "broken")
            case 3:
                library.put((parsed, readers), both=False)
            case 4:
                library.build()
            case _:
                library.put((parsed, readers))
        for tallied, counted in TALLIED.items():
            assert set(admin.execute(tallied.encode())) == set(admin.execute(counted.encode()))
    library.library.tend_tallies()
    library.build()
    cuts = admin.execute("select count(distinct cut_id) from kiban.chunk group by document_id").fetchall()
    assert set(cuts) == {(2,)}
    for tallied, counted in TALLIED.items():
        assert set(admin.execute(tallied.encode())) == set(admin.execute(counted.encode())) != set()


def test_each_cut_answers_as_if_it_were_alone(library: TwoCuts) -> None:
    chance = random.Random(3)
    documents = [document(chance, f"{number}.md") for number in range(12)]
    library.put(*documents[:6])
    library.build()
    library.put(*documents[6:])
    new = library.new
    assert new is not None
    for generation, how, tokenizer, embedder in (
        (library.old, STANDARD, WordTokenizer(), OLD),
        (new, SHORT, LetterTokenizer(), NEW),
    ):
        memory = MemoryLibrary()
        arrivals = [cut_as(parsed, readers, how, tokenizer, 1) for parsed, readers in documents]
        texts = [chunk.normalised for one in arrivals for chunk in one.chunks]
        memory.put("files", arrivals, {generation: embedder.passages(texts)})
        alone, ours = MemorySearch(memory), library.search(generation)
        for who in (LAB, NOBODY):
            assert ours.visible_chunks(who) == alone.visible_chunks(who)
            scope = Scope(under="1")
            assert ours.visible_chunks(who, scope) == alone.visible_chunks(who, scope)
            assert _texts(ours.browse(who)) == _texts(alone.browse(who))
            for question in ("pump oil", "有給の日数", "valve 旅費"):
                terms, vector = tokenizer.terms(question), embedder.query(question)
                found, expected = ours.matching(who, terms, 500), alone.matching(who, terms, 500)
                assert [p.score for p in found] == pytest.approx([p.score for p in expected], abs=1e-6)
                assert _texts(found) == _texts(expected)
                near = ours.nearest(who, vector, generation, 500, exact=True)
                assert _texts(near) == _texts(alone.nearest(who, vector, generation, 500, exact=True))
            pictured = ours.pictured(who, (1.0, 0.0, 0.0), "colours", 500)
            assert _texts(pictured) == _texts(alone.pictured(who, (1.0, 0.0, 0.0), "colours", 500))
    assert library.search(library.old).nearest(LAB, NEW.query("pump"), new, 9, exact=True) == []


def _texts(passages: Sequence[Any]) -> Counter[tuple[str, str]]:
    return Counter((passage.uri, passage.original) for passage in passages)


def test_an_interrupted_cutting_continues_and_passes_over_what_changed_meanwhile(library: TwoCuts) -> None:
    chance = random.Random(4)
    documents = {name: document(chance, name) for name in (f"{number}.md" for number in range(6))}
    library.put(*documents.values())
    cut = library.known.cut_of(library.begin())
    lacking = library.cuts.lacking(cut.id)
    first, second, third, *_ = [each.title for each in lacking]  # by their numbers, which are drawn
    assert {each.title for each in lacking} == set(documents)

    def interrupt(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_again(
            library.cuts, cut.id, LetterTokenizer(), SHORT, rate=1e9, progress=interrupt, sleep=lambda _: None
        )
    assert {each.title for each in library.cuts.lacking(cut.id)} == set(documents) - {first}
    library.put(documents[second], both=False)  # anew, by a worker that does not know the new cut
    library.library.delete("files", [third])
    stored = [(each, each.chunks) for each in lacking]
    assert library.cuts.put(cut.id, "files", stored) == sum(len(each.chunks) for each in lacking[3:])
    assert [each.title for each in library.cuts.lacking(cut.id)] == [second]
    assert not library.known.one(library.new or 0).whole
    library.build()
    assert library.known.one(library.new or 0).built == 1.0


def test_after_a_drop_nothing_of_a_cut_is_left_and_who_still_stores_it_stores_the_other(
    library: TwoCuts, admin: Admin
) -> None:
    chance = random.Random(5)
    documents = [document(chance, f"{number}.md") for number in range(6)]
    library.put(*documents)
    tables = ("chunk", "posting", "embedding", "sensitive", "picture", "zone_tally", "term_tally")

    def rows() -> dict[str, int]:
        library.library.tend_tallies()
        counted = {
            table: admin.execute(f"select count(*) from kiban.{table}".encode()).fetchone()
            for table in tables
        }
        return {table: found[0] for table, found in counted.items() if found}

    before, said = rows(), admin.execute(SAID, [1]).fetchall()
    library.build()
    new = library.new
    assert new is not None and all(count > before[table] for table, count in rows().items())
    cut = library.known.cut_of(new).id
    lacking = library.cuts.lacking(99)[:1]
    library.library.drop_generation(new)
    assert library.cuts._left(2)  # a drop that is killed here ...
    library.cuts.clear(batch=2)  # ... goes on here
    assert rows() == before and admin.execute(SAID, [1]).fetchall() == said
    assert library.cuts.put(cut, "files", [(lacking[0], lacking[0].chunks)]) == 0

    gone = [
        cut_as(*documents[0], SHORT, LetterTokenizer(), cut),
        cut_as(*documents[0], STANDARD, WordTokenizer(), 1),
    ]
    texts = [[chunk.normalised for chunk in one.chunks] for one in gone]
    vectors = {new: NEW.passages(texts[0]), library.old: OLD.passages(texts[1])}
    assert library.library.put("files", gone, vectors) == {"0.md"}
    assert rows() == before and admin.execute(SAID, [1]).fetchall() == said
    begun = library.known.cut_of(library.begin()).id
    assert (
        begun > cut
    )  # a number is never given twice: who still cuts the old way must not store it as the new


BEFORE = """
drop policy readers on kiban.chunk;
drop policy readers on kiban.zone_tally;
drop index kiban.chunk_of_document, kiban.chunk_besides, kiban.zone_tally_cut;
alter table kiban.chunk drop column cut_id, drop column lead, add unique (document_id, ordinal);
alter table kiban.zone_tally drop column cut_id;
alter table kiban.generation drop column cut_id;
alter table kiban.picture drop column at;
create index zone_tally_zone on kiban.zone_tally (zone_id) include (chunks, length);
drop sequence kiban.cut_id_seq;
"""


def test_a_database_from_before_cuts_has_one_and_can_be_given_another(
    library: TwoCuts, admin: Admin, postgres_server: EmbeddedPostgres
) -> None:
    chance = random.Random(6)
    library.put(*((document(chance, f"{n}.md")[0], AUDIENCES[n % 4]) for n in range(8)))
    asked = WordTokenizer().terms("the pump needs oil")
    before = library.search().matching(LAB, asked, 50)
    admin.execute(BEFORE)
    for _ in range(2):
        migrate(postgres_server.dsn("postgres"), postgres_server.passwords)
    with library.postgres.reading(()) as connection:
        posture.check(connection)
    assert library.search().matching(LAB, asked, 50) == before != []
    library.build()
    assert library.known.one(library.new or 0).whole
    assert library.search().matching(LAB, asked, 50) == before
    found = library.search(library.new).matching(LAB, LetterTokenizer().terms("有給"), 50)
    assert found and all(len(passage.original) <= 75 for passage in found)
    for tallied, counted in TALLIED.items():
        assert set(admin.execute(tallied.encode())) == set(admin.execute(counted.encode())) != set()


def test_what_one_may_not_read_is_hidden_in_every_cut(
    library: TwoCuts, postgres: Postgres, admin: Admin
) -> None:
    chance = random.Random(7)
    library.put(*((document(chance, f"{n}.md")[0], AUDIENCES[n % 4]) for n in range(8)))
    library.build()
    new = library.new
    assert new is not None
    hidden = "where zone_id in (select id from kiban.zone where not readers && array['everyone', 'lab'])"
    for generation in (library.old, new):
        cut = library.known.cut_of(generation).id
        for table in ("chunk", "posting", "embedding", "sensitive", "picture", "zone_tally", "term_tally"):
            zones = f"select distinct zone_id from kiban.{table}".encode()
            forbidden = {zone for (zone,) in admin.execute(f"{zones.decode()} {hidden}".encode())}
            assert forbidden
            with postgres.reading([EVERYONE, "lab"], cut) as tx:
                seen = {zone for (zone,) in tx.execute(zones)}
            assert seen and not seen & forbidden
            with postgres.reading([], cut) as tx:
                assert tx.execute(zones).fetchall() == []
    file = arrival("0.md", readers=["hr"]).file
    library.library.move_audience("files", replace(file, audience=Audience(frozenset({"hr"}))))
    for generation in (library.old, new):
        assert "0.md" not in {passage.uri for passage in library.search(generation).browse(LAB)}
