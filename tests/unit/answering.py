"""Passages for the tests of the answer room."""

from __future__ import annotations

from kiban.domain.document import Place
from kiban.domain.question import Passage
from kiban.domain.text import Span, normal_form


def passage(original: str, number: int = 1, *, starts: int = 0, place: Place | None = None) -> Passage:
    """A passage that begins at character `starts` of its document."""
    return Passage(
        chunk_id=number,
        document_id=number,
        uri=f"rules/{number}.md",
        title=f"規程{number}",
        version=1,
        place=place or Place(),
        span=Span(starts, starts + len(original)),
        original=original,
        normalised=normal_form(original).text,
        score=1.0,
    )


HOTEL = passage(
    "国内出張の宿泊費は11,000円を上限とする。\n東京２３区内に限り\n１３,８００円を上限とする。", 1, starts=100
)
USB = passage("ＵＳＢﾒﾓﾘの貸出しは①申請、②許可の順とする。紛失時は㈱ニチリンの内線7119へ。", 2, starts=40)
RAIL = passage("Rail travel above 3.5 hours may be booked in first class.", 3)
