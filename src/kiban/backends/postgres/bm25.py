"""Okapi BM25 (Robertson & Zaragoza 2009, with Lucene's non-negative idf), k1 = 1.2, b = 0.75.

All of its statistics are of visible chunks: sums over the tallies of visible zones. Parts of a score are
whole numbers of 2^-24, so that their sum is the same in whatever order they are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from kiban.backends.postgres import rows, scoping
from kiban.backends.postgres.connect import Connection
from kiban.backends.postgres.copying import in_vocabulary
from kiban.domain.generation import FIRST_CUT
from kiban.domain.question import EVERYTHING, Scope

UNIT = 1 << 24  # of a score
CEILING = 2.2  # the most that a term's frequency can multiply its idf by: k1 + 1
WORTH_SKIPPING = 50_000  # postings; fewer are read sooner than one can ask which matter

STATISTICS = """
with visible as (select sum(chunks)::float8 as chunks, sum(length)::float8 as length from kiban.zone_tally)
select visible.chunks, visible.length, term, sum(term_tally.chunks)::float8 as holding
from visible, kiban.term_tally where term = any(%(terms)s::text[])
group by term, visible.chunks, visible.length having sum(term_tally.chunks) > 0
"""

PART = "(idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / %(mean)s)) * 16777216)::integer"

# MaxScore (Turtle & Flood 1995): of the commonest terms only the postings of chunks that other terms found,
# and that could still be among the best.
BEST = f"""
with telling as materialized (
    select term, idf from unnest(%(telling)s::text[], %(telling_idf)s::float8[]) as telling (term, idf)
), common as materialized (
    select term, idf from unnest(%(common)s::text[], %(common_idf)s::float8[]) as common (term, idf)
), found as materialized (
    select chunk_id, zone_id, sum({PART}) as score from telling join kiban.posting using (term)
    where {{in_scope}} group by chunk_id, zone_id
), hopeful as materialized (
    select chunk_id, zone_id, score from found where score + %(rest)s >= coalesce(
        (select score from found order by score desc offset %(limit)s - 1 limit 1), 0
    )
), hit as materialized (
    select chunk_id, (score + more) / 16777216.0::float8 as score from hopeful, lateral (
        select coalesce(sum({PART}), 0) as more from common join kiban.posting
            on posting.term = common.term and posting.zone_id = hopeful.zone_id
            and posting.chunk_id = hopeful.chunk_id
    ) as also
    order by score desc, chunk_id limit %(limit)s
) {rows.PASSAGES} order by hit.score desc, chunk.id
"""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A term, by how few visible chunks hold it."""

    term: str
    holding: float
    idf: float


def best(
    tx: Connection, terms: Sequence[str], limit: int, scope: Scope = EVERYTHING, cut: int = FIRST_CUT
) -> list[tuple[Any, ...]]:
    """Return rows of PASSAGES, best first, in a transaction that reads `cut`."""
    counted = tx.execute(STATISTICS, {"terms": sorted(set(in_vocabulary(cut, terms)))}).fetchall()
    if not counted:
        return []
    chunks, length = counted[0][:2]
    weighed = [
        Weighed(term, holding, log(1 + (chunks - holding + 0.5) / (holding + 0.5)))
        for _, _, term, holding in counted
    ]
    weighed.sort(key=lambda one: (-one.idf, one.term))
    telling, common = split(weighed, weighed[0].idf, limit)  # a guess: one match of the rarest term
    best_in_scope = BEST.format(in_scope=scoping.condition(scope)).encode()
    while True:
        rest = sum(one.idf for one in common) * CEILING
        asked = tx.execute(
            best_in_scope,
            {
                "telling": [one.term for one in telling],
                "telling_idf": [one.idf for one in telling],
                "common": [one.term for one in common],
                "common_idf": [one.idf for one in common],
                "rest": int(rest * UNIT) + len(common),
                "mean": length / chunks,
                "limit": limit,
                **scoping.parameters(scope),
            },
        )
        found = asked.fetchall()
        score = [column.name for column in asked.description or ()].index("score")
        # A chunk that holds none of the telling terms scores at most `rest`.
        bar = found[-1][score] - len(common) / UNIT if len(found) == limit else 0.0
        if not common or rest < bar:
            return found
        telling, common = split(weighed, bar, limit)  # proven: the last score found can only rise


def split(
    weighed: Sequence[Weighed], allowed: float, limit: int
) -> tuple[Sequence[Weighed], Sequence[Weighed]]:
    """Divide terms, rarest first, into those that are looked up whole, and common ones of which a chunk that
    holds nothing else scores less than `allowed`."""
    end, rest, skipped = len(weighed), 0.0, 0.0
    while end > 1 and rest + weighed[end - 1].idf * CEILING < allowed:
        end -= 1
        rest += weighed[end].idf * CEILING
        skipped += weighed[end].holding
    if skipped < WORTH_SKIPPING or sum(one.holding for one in weighed[:end]) < limit:
        return weighed, []
    return weighed[:end], weighed[end:]
