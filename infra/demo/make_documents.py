"""Makes the demo's binary documents from their originals: `python infra/demo/make_documents.py`.

An original lies at the path of its document, below `originals/`, with `.md` added: Markdown that a
person can read and edit. The documents are committed too, and the same originals always make the same
bytes, so `git status` shows whether they match. A .csv original is the table itself, in UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from writers import mail, pages, slides, word, workbook
from writers.original import Original

HERE = Path(__file__).resolve().parent
ORIGINALS, DOCUMENTS = HERE / "originals", HERE / "documents"
WRITERS: dict[str, Callable[[Original], bytes]] = {
    ".docx": word.write,
    ".eml": mail.write,
    ".pdf": pages.write,
    ".pptx": slides.write,
    ".xlsx": workbook.write,
}


def make(original: Path) -> Path:
    """Write the document of one original and return where it lies."""
    document = DOCUMENTS / original.relative_to(ORIGINALS)
    if original.suffix == ".csv":
        content = original.read_text(encoding="utf-8").replace("\n", "\r\n").encode("cp932")
    else:
        document = document.with_suffix("")
        content = WRITERS[document.suffix](Original.read(original))
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_bytes(content)
    return document


def main() -> None:
    for original in sorted(path for path in ORIGINALS.rglob("*") if path.is_file()):
        print(make(original).relative_to(HERE))


if __name__ == "__main__":
    main()
