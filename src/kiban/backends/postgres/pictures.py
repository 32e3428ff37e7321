"""Pictures in Postgres, under the chunk each stands beside; compared whole, never by a graph (Pillow)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice

from PIL import Image

from kiban.backends.postgres import copying, rows, scoping
from kiban.backends.postgres.connect import Connection
from kiban.backends.postgres.copying import Shelved, half, storable
from kiban.domain.document import Arrival, Picture
from kiban.domain.question import Passage, Scope
from kiban.ports import Vector

COLUMNS = {
    "chunk_id": "int8",
    "zone_id": "int4",
    "ordinal": "int4",
    "caption": "text",
    "thumbnail": "bytea",
    "embedder_sha256": "text",
    "vector": "halfvec",
    "at": "int4",
}

# The vectors of another embedder may have another length; they are not even compared. Nor are those beside
# chunks of another cut, which are not seen.
NEAREST = f"""
with mine as materialized (
    select chunk_id, vector from kiban.picture
    where embedder_sha256 = %(embedder)s and zone_id = any(array(select id from kiban.zone)) and {{in_scope}}
        and exists (select from kiban.chunk where chunk.id = chunk_id)
), hit as materialized (
    select chunk_id, max(1 - (vector <=> %(vector)s)) as score from mine
    group by chunk_id order by score desc, chunk_id limit %(limit)s
) {rows.PASSAGES} order by hit.score desc, chunk.id
"""

# Each picture of the document beside the chunk of another cut that is nearest to where it stands.
AGAIN = """
insert into kiban.picture (chunk_id, zone_id, ordinal, caption, thumbnail, embedder_sha256, vector, at)
select nearest.id, nearest.zone_id, picture.ordinal, caption, thumbnail, embedder_sha256, vector, stands.at
from kiban.picture
join kiban.chunk as beside on beside.id = chunk_id,
lateral (select coalesce(picture.at, beside.span_start) as at) as stands,
lateral (
    select id, zone_id from kiban.chunk
    where document_id = beside.document_id and cut_id = %(cut)s
    order by greatest(span_start - stands.at, stands.at + 1 - span_end, 0), chunk.ordinal limit 1
) as nearest
where chunk_id = any(%(ids)s)
"""


def store(tx: Connection, arrivals: Sequence[Arrival], shelved: Sequence[Shelved]) -> None:
    """Store the pictures of arrivals, whose chunks have been stored in the same order."""
    if records := list(_records(arrivals, iter(shelved))):
        copying.copy(tx, "picture", COLUMNS, records)


def put_again(tx: Connection, ids: Sequence[int], cut: int) -> None:
    """Put what stands beside these chunks beside those of another cut too."""
    tx.execute(AGAIN, {"ids": list(ids), "cut": cut})


def nearest(tx: Connection, vector: Vector, embedder_sha256: str, limit: int, scope: Scope) -> list[Passage]:
    found = tx.execute(
        NEAREST.format(in_scope=scoping.condition(scope)).encode(),
        {"vector": half(vector), "embedder": embedder_sha256, "limit": limit, **scoping.parameters(scope)},
    )
    return [rows.passage(*row) for row in found]


def png(picture: Picture) -> bytes:
    """Return the picture as a file anybody can look at."""
    file = BytesIO()
    Image.frombytes("RGB", (picture.width, picture.height), picture.rgb).save(file, "PNG")
    return file.getvalue()


def _records(arrivals: Sequence[Arrival], shelved: Iterator[Shelved]) -> Iterator[tuple[object, ...]]:
    for arrival in arrivals:
        keys = {item.chunk.ordinal: (item.id, item.zone) for item in islice(shelved, len(arrival.chunks))}
        for ordinal, embedded in enumerate(arrival.pictures):
            yield (
                *keys[embedded.chunk],
                ordinal,
                storable(embedded.picture.caption),
                png(embedded.picture),
                embedded.embedder_sha256,
                half(embedded.vector),
                embedded.picture.at,
            )
