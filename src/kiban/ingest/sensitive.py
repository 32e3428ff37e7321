"""Note beside every chunk where its secrets and personal data stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kiban.domain.document import SECTION_BREAK, Chunk, ParsedDocument
from kiban.domain.sensitive import Finding, within
from kiban.ports import Detector


def mark(document: ParsedDocument, chunks: Sequence[Chunk], detector: Detector) -> tuple[Chunk, ...]:
    """Return the chunks with what a detector finds. It reads whole sections, since a key may go on in the
    next chunk, and what says that a number is one may stand in the chunk before."""
    found: list[Finding] = []
    offset = 0
    for section in document.sections:
        found += [finding.shifted(offset) for finding in detector.findings(section.text)]
        offset += len(section.text) + len(SECTION_BREAK)
    return tuple(_marked(chunks, found)) if found else tuple(chunks)


def _marked(chunks: Sequence[Chunk], found: Sequence[Finding]) -> list[Chunk]:
    """Walk both lists once; both are in order."""
    marked: list[Chunk] = []
    first = 0
    for chunk in chunks:
        while first < len(found) and found[first].span.end <= chunk.span.start:
            first += 1
        last = first
        while last < len(found) and found[last].span.start < chunk.span.end:
            last += 1
        marked.append(replace(chunk, sensitive=within(found[first:last], chunk.span)))
    return marked
