"""What a search is asked and what it returns, over HTTP and to agents alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kiban.domain.question import Found, Passage, Scope
from services.chat.scope_shapes import Id, Name, Names, scope
from services.chat.shapes import LONGEST_QUESTION

Lane = Literal["dense", "lexical", "pictures"]
USUAL_LANES: list[Lane] = ["dense", "lexical"]
MOST_PASSAGES = 50


def _split(given: object) -> object:
    """Take "a,b" as well as a repeated parameter."""
    values = [given] if isinstance(given, str) else given
    if not isinstance(values, list):
        return values
    taken: list[object] = []
    for value in values:
        taken += [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]
    return taken


class SearchRequest(BaseModel):
    """A search without an answer."""

    q: str = Field(
        "", max_length=LONGEST_QUESTION, description="質問または検索語 / a question or words to search for"
    )
    query: str = Field("", max_length=LONGEST_QUESTION, description="The older name of q")
    limit: int = Field(10, ge=1, le=MOST_PASSAGES, description="Passages to return, at most")
    lanes: Annotated[list[Lane], BeforeValidator(_split)] = Field(
        USUAL_LANES,
        min_length=1,
        description="Which lanes to search, fused; pictures finds the passages beside figures and drawings, "
        "where such are kept",
    )

    sources: Annotated[Names, BeforeValidator(_split)] = Field(
        [], description="Only documents of these sources"
    )
    under: Name = Field("", description="Only documents whose uri begins so, e.g. minutes/")
    formats: Annotated[Names, BeforeValidator(_split)] = Field(
        [], description="Only documents whose uri ends so, e.g. pdf"
    )
    documents: list[Id] = Field([], max_length=1_000, description="Only documents with these ids")
    modified_from: AwareDatetime | None = Field(None, description="Only documents modified at or after this")
    modified_before: AwareDatetime | None = Field(None, description="Only documents modified before this")

    @model_validator(mode="after")
    def _asks_something(self) -> SearchRequest:
        if not self.text:
            raise ValueError("q: the words to search for are missing")
        return self

    @property
    def scope(self) -> Scope:
        return scope(
            self.sources,
            self.under,
            self.formats,
            self.modified_from,
            self.modified_before,
            documents=self.documents,
        )

    @property
    def text(self) -> str:
        return (self.q or self.query).strip()


class PlaceShape(BaseModel):
    """Where in the document to look. At most one of page, sheet and slide is set."""

    page: int | None = Field(None, description="1-based")
    sheet: str | None = None
    slide: int | None = Field(None, description="1-based")
    heading: str = Field("", description="Path of headings, ' > ' between")
    anchor: str = Field("", description="What follows '#' in an address, or a range of cells")


class WhyShape(BaseModel):
    """A lane that found the passage, its rank there (1-based) and the lane's own score."""

    lane: str
    rank: int
    score: float


class PassageShape(BaseModel):
    """One passage, as the asker may read it."""

    number: int = Field(description="Its rank, 1-based")
    document_id: int
    uri: str = Field(description="Stable within its source")
    url: str = Field(description="Where a person opens the document; empty when its source does not say")
    title: str
    version: int = Field(description="1 for the first content seen of the document, +1 per change")
    place: PlaceShape
    span: tuple[int, int] = Field(description="Characters [start, end) of the document's text")
    text: str
    score: float = Field(description="Compares passages of this search only")
    why: list[WhyShape]


EXAMPLE: dict[str, Any] = {
    "object": "list",
    "query": "国内出張の宿泊費 / hotel costs",
    "release": "5f0c2e9ab714",
    "data": [
        {
            "number": 1,
            "document_id": 12,
            "uri": "company/旅費規程.docx",
            "url": "",
            "title": "旅費規程",
            "version": 2,
            "place": {"page": None, "sheet": None, "slide": None, "heading": "第6条 宿泊費", "anchor": ""},
            "span": [412, 471],
            "text": "国内出張の宿泊費は…",
            "score": 0.93,
            "why": [
                {"lane": "dense", "rank": 2, "score": 0.871},
                {"lane": "lexical", "rank": 1, "score": 14.2},
            ],
        }
    ],
}


class FoundShape(BaseModel):
    """Passages, best first, and the release whose embedder and index generation found them."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    object: Literal["list"] = "list"
    query: str
    release: str
    data: list[PassageShape]


def found_shape(query: str, found: Found) -> FoundShape:
    return FoundShape(query=query, release=found.release_id, data=passage_shapes(found.passages))


def passage_shapes(passages: tuple[Passage, ...]) -> list[PassageShape]:
    return [_passage(number, passage) for number, passage in enumerate(passages, start=1)]


def _passage(number: int, passage: Passage) -> PassageShape:
    place, span = passage.place, passage.span
    return PassageShape(
        number=number,
        document_id=passage.document_id,
        uri=passage.uri,
        url=passage.url,
        title=passage.title,
        version=passage.version,
        place=PlaceShape(
            page=place.page, sheet=place.sheet, slide=place.slide, heading=place.heading, anchor=place.anchor
        ),
        span=(span.start, span.end),
        text=passage.original,
        score=passage.score,
        why=[WhyShape(lane=why.lane, rank=why.rank, score=why.score) for why in passage.why],
    )
