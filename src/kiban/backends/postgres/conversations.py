"""Conversations: each person's own, shown as far as that person may still read what they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from kiban.backends.postgres import rows
from kiban.backends.postgres.connect import Connection, Postgres
from kiban.backends.postgres.copying import storable
from kiban.domain.access import EVERYONE, Principal
from kiban.domain.conversation import LONGEST_TITLE, Conversation, Exchange, ExchangeKey
from kiban.domain.question import Answer, Citation
from kiban.domain.text import Span

ADD = """
insert into kiban.exchange (conversation_id, number, question, answer, documents)
select id, (select count(*) from kiban.exchange where conversation_id = id),
       %(question)s, %(answer)s, %(documents)s
from kiban.conversation where id = %(id)s
"""
SEEN = """
update kiban.conversation set last = now(), title = case title when '' then %(title)s else title end
where id = %(id)s and subject = %(subject)s
"""
LISTED_AT_ONCE = 100
LISTED = """
select id::text, title, begun, last from kiban.conversation where title <> '' order by last desc limit %s
"""
READ = """
select question, at, answer from (
    select number, question, at,
        case when (select count(*) from kiban.document where id = any(documents)) = cardinality(documents)
        then answer end as answer
    from kiban.exchange where conversation_id = %s
) said order by number
"""
NEWEST = """
select subject, conversation_id, number from (
    select subject, conversation_id::text, number, at,
        row_number() over (partition by subject order by at desc) as place
    from kiban.exchange join kiban.conversation on id = conversation_id
) asked where place <= %s order by place, at desc limit %s
"""
PASSAGES = f"with hit as (select unnest(%s::bigint[]) as chunk_id, 0.0 as score) {rows.PASSAGES}"


class PostgresConversations:
    """Written as kiban_writer, read as kiban_reader on behalf of one person."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def begin(self, who: Principal) -> str:
        """Return the id of a conversation in which nothing has been said."""
        with self._postgres.writing() as tx:
            begun = tx.execute(
                "insert into kiban.conversation (subject, title) values (%s, '') returning id::text",
                [who.subject],
            ).fetchone()
            assert begun is not None
            return str(begun[0])

    def has(self, id: str, who: Principal) -> bool:
        """Tell whether `who` has such a conversation."""
        with self._reading(who) as tx:
            return bool(tx.execute("select from kiban.conversation where id = %s", [id]).rowcount)

    def add(self, id: str, who: Principal, question: str, answer: Answer) -> None:
        """Keep what was said, unless `who` has no such conversation."""
        about = {"id": id, "subject": who.subject, "question": storable(question)}
        documents = sorted({passage.document_id for passage in answer.passages})
        with self._postgres.writing() as tx:
            seen = tx.execute(SEEN, {**about, "title": storable(question)[:LONGEST_TITLE]})
            if seen.rowcount:
                tx.execute(ADD, {**about, "answer": Jsonb(_kept(answer)), "documents": documents})

    def all(self, who: Principal, limit: int = LISTED_AT_ONCE) -> list[Conversation]:
        """Return the newest conversations of `who`, newest first."""
        with self._reading(who) as tx:
            return [Conversation(*row) for row in tx.execute(LISTED, [limit])]

    def read(self, id: str, who: Principal) -> list[Exchange]:
        """Return what was said; nothing for a conversation that `who` does not have."""
        with self._reading(who) as tx:
            said = tx.execute(READ, [id]).fetchall()
            return [Exchange(question, at, kept and _answer(tx, kept)) for question, at, kept in said]

    def newest(self, limit: int, of_one_person: int) -> list[ExchangeKey]:
        """Return where the newest questions stand, of all people in turn. Their words are `read` as the
        person whose they are."""
        with self._postgres.writing() as tx:
            return [ExchangeKey(*row) for row in tx.execute(NEWEST, [of_one_person, limit])]

    def delete(self, id: str, who: Principal) -> bool:
        """Forget a conversation; tell whether `who` had it."""
        with self._postgres.writing() as tx:
            gone = tx.execute(
                "delete from kiban.conversation where id = %s and subject = %s", [id, who.subject]
            )
            return bool(gone.rowcount)

    def forget(self, before: datetime) -> int:
        """Forget conversations in which nothing was said since; return how many."""
        with self._postgres.writing() as tx:
            return tx.execute("delete from kiban.conversation where last < %s", [before]).rowcount

    @contextmanager
    def _reading(self, who: Principal) -> Iterator[Connection]:
        with self._postgres.reading(who.groups | {EVERYONE}) as tx:
            tx.execute("select set_config('kiban.subject', %s, true)", [who.subject])
            yield tx


def _kept(answer: Answer) -> dict[str, Any]:
    """Return what is kept of an answer: passages by their numbers, for their texts may change or go."""
    place = {passage.chunk_id: number for number, passage in enumerate(answer.passages)}
    return {
        "text": storable(answer.text),
        "abstained": answer.abstained,
        "release": answer.release_id,
        "refused_quotes": answer.refused_quotes,
        "passages": [[passage.chunk_id, passage.version] for passage in answer.passages],
        "citations": [
            [one.number, place[one.passage.chunk_id], one.span.start, one.span.end, storable(one.quote)]
            for one in answer.citations
        ],
    }


def _answer(tx: Connection, kept: dict[str, Any]) -> Answer:
    """Return the answer with those passages that are as they were, and, if all are, with its citations."""
    chunks = [chunk_id for chunk_id, _ in kept["passages"]]
    found = {
        passage.chunk_id: passage
        for row in tx.execute(PASSAGES, [chunks])
        for passage in [rows.passage(*row)]
    }
    same = [
        found[chunk]
        for chunk, version in kept["passages"]
        if chunk in found and found[chunk].version == version
    ]
    citations: list[Citation] = []
    if len(same) == len(chunks):  # else a number would lead to another passage
        citations = [
            Citation(number, same[place], quote, Span(start, end))
            for number, place, start, end, quote in kept["citations"]
        ]
    return Answer(
        text=kept["text"],
        citations=tuple(citations),
        passages=tuple(same),
        abstained=kept["abstained"],
        release_id=kept["release"],
        refused_quotes=kept["refused_quotes"],
    )
