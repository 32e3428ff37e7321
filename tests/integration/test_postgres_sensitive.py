"""What is sensitive in a chunk is stored beside it, follows its readers, and goes with it."""

from __future__ import annotations

from dataclasses import replace

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import Audience, Principal
from kiban.domain.document import Arrival
from kiban.domain.sensitive import Finding, Kind
from kiban.domain.text import Span
from kiban.testing import PatternDetector, arrival

SOMEBODY = Principal("tanaka", frozenset())
HR = Principal("suzuki", frozenset({"hr"}))


def stored(library: PostgresLibrary, *texts: str, readers: tuple[str, ...] = ("everyone",)) -> Arrival:
    plain = arrival("a.md", *texts, readers=readers)
    found = PatternDetector().findings
    marked = tuple(replace(chunk, sensitive=found(chunk.original)) for chunk in plain.chunks)
    library.put("folder", [replace(plain, chunks=marked)], {})
    return plain


def test_findings_are_kept_by_chunk_and_replaced_with_the_next_version(postgres: Postgres) -> None:
    library, index = PostgresLibrary(postgres), PostgresSearch(postgres)
    stored(library, "鍵は SECRET-1 と SECRET-22", "なし")
    first, second = index.browse(SOMEBODY)
    assert index.sensitive(SOMEBODY, [first.chunk_id, second.chunk_id]) == {
        first.chunk_id: (Finding(Kind.API_KEY, Span(3, 11)), Finding(Kind.API_KEY, Span(14, 23))),
        second.chunk_id: (),
    }
    stored(library, "電話 090-1234-5678")
    (now,) = index.browse(SOMEBODY)
    assert index.sensitive(SOMEBODY, [first.chunk_id, now.chunk_id]) == {
        first.chunk_id: (),
        now.chunk_id: (Finding(Kind.PHONE, Span(3, 16)),),
    }


def test_who_may_not_read_a_chunk_does_not_learn_what_is_sensitive_in_it(postgres: Postgres) -> None:
    library, index = PostgresLibrary(postgres), PostgresSearch(postgres)
    kept = stored(library, "SECRET-1", readers=("hr",))
    (passage,) = index.browse(HR)
    assert index.sensitive(HR, [passage.chunk_id])[passage.chunk_id]
    assert index.sensitive(SOMEBODY, [passage.chunk_id])[passage.chunk_id] == ()
    library.move_audience("folder", replace(kept.file, audience=Audience(frozenset({"everyone"}))))
    assert index.sensitive(SOMEBODY, [passage.chunk_id])[passage.chunk_id]
    library.delete("folder", ["a.md"])
    assert index.sensitive(HR, [passage.chunk_id])[passage.chunk_id] == ()
