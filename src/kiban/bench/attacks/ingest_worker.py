"""An ingest worker to be killed, for plain text, without weights.

`python -m kiban.bench.attacks.ingest_worker FOLDER NAME WRITER READER GENERATION`
"""

from __future__ import annotations

import sys
from pathlib import Path

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.queue import PostgresQueue
from kiban.backends.sources.folder import FolderSource
from kiban.domain.document import IngestReport, ParsedDocument, Place, Section, SourceFile
from kiban.ingest import absorb
from kiban.ingest.absorb import Cutter, Reading
from kiban.ingest.survey import survey
from kiban.testing import HashEmbedder, WordTokenizer

LEASE = 0.6  # seconds
BATCH = 4


class PlainParser:
    """Reads a text file as one section per paragraph."""

    def parse(self, file: SourceFile) -> ParsedDocument:
        paragraphs = file.path.read_text("utf-8").split("\n\n")
        return ParsedDocument(file.uri, tuple(Section(each, Place()) for each in paragraphs))


def reading(postgres: Postgres, generation: int) -> Reading:
    return Reading(
        PostgresLibrary(postgres),
        PostgresQueue(postgres),
        PlainParser(),
        (Cutter(WordTokenizer(), {generation: HashEmbedder()}),),
    )


def ingest(folder: Path, name: str, reading: Reading) -> IngestReport:
    source = FolderSource(name, folder, 10**6)
    report = survey(source, reading.library, reading.queue)
    return report + absorb.drain(source, reading, batch_size=BATCH, seconds=LEASE)


def main() -> None:
    folder, name, writer, reader, generation = sys.argv[1:]
    postgres = Postgres(writer, reader)
    print("begun", flush=True)
    ingest(Path(folder), name, reading(postgres, int(generation)))
    postgres.close()
    print("done", flush=True)


if __name__ == "__main__":
    main()
