"""Source → Document → Chunk."""

from __future__ import annotations

from collections.abc import Sequence

from kiban.domain.document import Document, DocumentState, IngestReport, Listed
from kiban.ingest import absorb
from kiban.ingest.absorb import Survey
from kiban.wiring.furniture import Furniture


class Documents:
    """What the ingest flow does, step by step, for one source: by its name, or by the path of a folder."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture

    def sources(self) -> list[str]:
        """Return the names of all sources in the settings."""
        return [source.name for source in self._furniture.sources]

    def survey(self, source: str) -> Survey:
        return absorb.survey(self._furniture.source(source), self._furniture.library)

    def settle(self, source: str, found: Survey) -> IngestReport:
        return absorb.settle(self._furniture.source(source), found, self._furniture.library)

    def absorb(self, source: str, entries: Sequence[Listed]) -> IngestReport:
        furniture = self._furniture
        return absorb.absorb(
            furniture.source(source),
            entries,
            library=furniture.library,
            parser=furniture.parser,
            tokenizer=furniture.tokenizer,
            embedders=furniture.live_embedders(),
            detector=furniture.detector,
        )

    def remember(self, source: str, found: Survey) -> None:
        """Keep the cursor: all that the survey found has been recorded."""
        furniture = self._furniture
        furniture.library.keep_cursor(furniture.source(source).name, found.cursor)

    def ingest(self, source: str) -> IngestReport:
        """Do all of it in this process, without a flow."""
        furniture = self._furniture
        report = absorb.run(
            furniture.source(source),
            furniture.library,
            furniture.parser,
            furniture.tokenizer,
            furniture.live_embedders(),
            detector=furniture.detector,
        )
        self.tend_index()
        return report

    def tend_index(self) -> None:
        """Give zones that have grown large their graphs."""
        self._furniture.library.tend_index(self._furniture.settings.graph_zone_chunks)

    def all(self) -> list[Document]:
        return self._furniture.library.documents()

    def failed(self) -> list[Document]:
        return [document for document in self.all() if document.state is DocumentState.FAILED]
