"""Pictures beside their chunks, under vectors that questions can be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kiban.domain.document import Arrival, Chunk, EmbeddedPicture, Picture
from kiban.ports import PictureEmbedder


def beside(pictures: Sequence[Picture], chunks: Sequence[Chunk]) -> tuple[EmbeddedPicture, ...]:
    """Return each picture with the chunk nearest to where it stands, and no vector yet."""
    return tuple(EmbeddedPicture(picture, _nearest(picture.at, chunks)) for picture in pictures)


def embed(arrivals: Sequence[Arrival], embedder: PictureEmbedder) -> list[Arrival]:
    """Return the arrivals with the vectors of their pictures, all made in one call."""
    vectors = iter(embedder.pictures([each.picture for arrival in arrivals for each in arrival.pictures]))
    return [
        replace(
            arrival,
            pictures=tuple(
                replace(each, embedder_sha256=embedder.sha256, vector=tuple(next(vectors)))
                for each in arrival.pictures
            ),
        )
        for arrival in arrivals
    ]


def _nearest(at: int, chunks: Sequence[Chunk]) -> int:
    return min(chunks, key=lambda chunk: max(chunk.span.start - at, at + 1 - chunk.span.end, 0)).ordinal
