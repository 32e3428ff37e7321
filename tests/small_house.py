"""A house of a few files on a real Postgres, with models that have no weights."""

from __future__ import annotations

from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from kiban.backends.postgres.connect import Postgres
from kiban.domain.document import Document
from kiban.domain.learning import Weights
from kiban.release import ledger
from kiban.settings import Settings
from kiban.testing import HashEmbedder, PatternDetector
from kiban.wiring.documents import Documents
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import Releases

PHONE = "090-1234-5678"
LIMIT = "東京２３区内に限り13,800円を上限とする。"


class SmallFurniture(Furniture):
    """The house's own furniture, but for the test's database and models without weights."""

    def __init__(self, settings: Settings, postgres: Postgres) -> None:
        super().__init__(settings)
        self.postgres = postgres
        self.detector = PatternDetector()  # type: ignore[assignment]
        self.base_embedder = Weights(Path("/models/quick"), "q" * 64)
        self.llm = Weights(Path("/models/llm"), "l" * 64)
        self.quick = HashEmbedder()

    def embedder(self, weights: Weights) -> HashEmbedder:  # type: ignore[override]
        return self.quick


class SmallHouse:
    """rules/travel.pdf for everyone, pay/pay.md for hr."""

    def __init__(self, folder: Path, postgres: Postgres, **said: object) -> None:
        self.folder = folder / "documents"
        for name, reader in (("rules", "everyone"), ("pay", "hr")):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / ".readers.yaml").write_text(f"readers: [{reader}]")
        write_pdf(self.folder / "rules/travel.pdf")
        (self.folder / "pay/pay.md").write_text("# 給与規程\n\n給与は毎月二十五日に支払う。\n")
        settings = Settings(state=folder, documents=self.folder, **said)  # type: ignore[arg-type]
        self.furniture = SmallFurniture(settings, postgres)
        self.releases = Releases(self.furniture)
        ledger.found(self.furniture.ledger, self.releases.base, actor="kiban up")
        self.ingest()

    def ingest(self) -> None:
        documents = Documents(self.furniture)
        for name in documents.sources():
            documents.ingest(name)

    def document(self, uri: str) -> Document:
        return next(one for one in self.furniture.library.documents() if one.uri == uri)

    def close(self) -> None:
        for name in ("parser", "page_drawer"):
            if name in self.furniture.__dict__:
                self.furniture.__dict__[name].close()


def write_pdf(path: Path) -> None:
    """Write two pages; LIMIT stands on the second, broken into two lines."""
    font = "HeiseiKakuGo-W5"
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    pages = canvas.Canvas(str(path), invariant=True)
    first = ["旅費規程", f"問い合わせは {PHONE} へ。"]
    for lines in (first, ["東京２３区内に限り", "13,800円を上限とする。"]):
        pages.setFont(font, 14)
        for row, line in enumerate(lines):
            pages.drawString(80, 700 - 26 * row, line)
        pages.showPage()
    pages.save()
