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
}

# The vectors of another embedder may have another length; they are not even compared.
NEAREST = f"""
with mine as materialized (
    select chunk_id, vector from kiban.picture
    where embedder_sha256 = %(embedder)s and zone_id = any(array(select id from kiban.zone)) and {{in_scope}}
), hit as materialized (
    select chunk_id, max(1 - (vector <=> %(vector)s)) as score from mine
    group by chunk_id order by score desc, chunk_id limit %(limit)s
) {rows.PASSAGES} order by hit.score desc, chunk.id
"""


def store(tx: Connection, arrivals: Sequence[Arrival], shelved: Sequence[Shelved]) -> None:
    """Store the pictures of arrivals, whose chunks have been stored in the same order."""
    if records := list(_records(arrivals, iter(shelved))):
        copying.copy(tx, "picture", COLUMNS, records)


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
            )
