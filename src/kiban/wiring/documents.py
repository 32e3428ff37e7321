"""Source → Document → Chunk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kiban.domain.document import Document, DocumentState, IngestReport, SourceFile
from kiban.ingest import absorb
from kiban.ingest.absorb import Survey
from kiban.wiring.furniture import Furniture


class Documents:
    """What the ingest flow does, step by step; without a folder, the one in the settings is meant."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture

    def survey(self, folder: Path | None) -> Survey:
        return absorb.survey(self._furniture.source(folder), self._furniture.library)

    def settle(self, folder: Path | None, found: Survey) -> IngestReport:
        return absorb.settle(self._furniture.source(folder), found, self._furniture.library)

    def absorb(self, folder: Path | None, files: Sequence[SourceFile]) -> IngestReport:
        furniture = self._furniture
        return absorb.absorb(
            files,
            source=furniture.source(folder).name,
            library=furniture.library,
            parser=furniture.parser,
            tokenizer=furniture.tokenizer,
            embedders=furniture.live_embedders(),
        )

    def ingest(self, folder: Path | None) -> IngestReport:
        """Do all of it in this process, without a flow."""
        furniture = self._furniture
        report = absorb.run(
            furniture.source(folder),
            furniture.library,
            furniture.parser,
            furniture.tokenizer,
            furniture.live_embedders(),
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
