"""Cut a stored document anew, from what its chunks say: nothing is fetched, parsed or read by OCR again.

Chunks neither overlap nor leave out anything but white space, and each keeps what stands before it. So they
hold the text of their document, and cutting that text gives what cutting the file would.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.domain.document import SECTION_BREAK, Chunk, ParsedDocument, Section
from kiban.ingest import chunking, sensitive
from kiban.ingest.chunking import Chunking
from kiban.ports import Detector, Tokenizer


def again(
    title: str,
    chunks: Sequence[Chunk],
    tokenizer: Tokenizer,
    how: Chunking,
    detector: Detector | None = None,
) -> tuple[Chunk, ...]:
    """Return the chunks of the document that `chunks`, in order, are of, cut another way."""
    document = whole(title, chunks)
    found = chunking.cut(document, tokenizer, how)
    return found if detector is None else sensitive.mark(document, found, detector)


def whole(title: str, chunks: Sequence[Chunk]) -> ParsedDocument:
    """Return the document with every character where it was; blanks at the ends of sections are spaces."""
    sections: list[Section] = []
    offset = 0  # where the section begins
    text, place = "", chunks[0].place
    for number, chunk in enumerate(chunks):
        if number and (chunk.lead is None or chunk.place != place):
            sections.append(Section(text, place))
            offset += len(text) + len(SECTION_BREAK)
            text, place = "", chunk.place
        gap = chunk.span.start - offset - len(text)
        text += _between(chunk.lead, gap) + chunk.original
    return ParsedDocument(title, (*sections, Section(text, place)))


def _between(lead: str | None, gap: int) -> str:
    """Return what stands before a chunk. A version of Kiban that did not keep it left a line's end there."""
    return lead if lead is not None and len(lead) == gap else (lead or "")[:gap].ljust(gap)
