"""One file after parsing, and how much of a gold text it kept."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kiban.domain.document import ParsedDocument

_WORD = re.compile(r"[^\W_\u2e80-\uffdc]+|[\u2e80-\uffdc]+")  # Latin words and numbers; runs of Japanese
_GOLD_ENDINGS = (".md", ".txt")
_MARKUP = re.compile(r"<!--.*?-->|!?\[([^\]]*)\]\([^)]*\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What parsing one file took, and gave. Times are seconds."""

    name: str
    ending: str
    error: str  # "" when it was parsed
    pages: int
    characters: int
    unread: int  # pictures
    cpu: float
    wall: float
    raw_cpu: float  # of pypdfium2 alone; 0 when it is no PDF
    recall: float | None


class Golds:
    """Gold texts in a folder, by name: of "report.pdf", "report.pdf.md", "report.md" or "report.txt"."""

    def __init__(self, folder: Path | None) -> None:
        self._paths: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")) if folder else ():
            if path.suffix in _GOLD_ENDINGS and path.is_file():
                self._paths.setdefault(path.name, []).append(path)

    def of(self, file: Path) -> str | None:
        """Return the gold text of a file; None without one. Of several, the nearest in the tree is taken."""
        names = [f"{stem}{ending}" for stem in (file.name, file.stem) for ending in _GOLD_ENDINGS]
        for name in names:
            found = [path for path in self._paths.get(name, []) if path != file]
            if found:
                nearest = max(found, key=lambda path: _shared(path, file))
                return nearest.read_text("utf-8", errors="replace")
        return None


def recall(gold: str | None, document: ParsedDocument) -> float | None:
    """Return the share of the gold text's words that the document has, counted with repeats."""
    return recall_of(gold, told(document)) if gold is not None else None


def recall_of(gold: str, text: str) -> float | None:
    """Return the same of plain text; None when the gold text is empty. Markup does not count."""
    wanted, found = _words(gold), _words(text)
    return (wanted & found).total() / wanted.total() if wanted else None


def told(document: ParsedDocument) -> str:
    """Return all that a document says: its title, its text, and each heading once."""
    headings = dict.fromkeys(
        heading for section in document.sections for heading in section.place.heading.split(" > ")
    )
    sheets = dict.fromkeys(section.place.sheet or "" for section in document.sections)
    return "\n".join([document.title, *sheets, *headings, document.text])


def pages_of(document: ParsedDocument) -> int:
    """Return how many pages, slides and sheets a document has at least: one."""
    places = [*(section.place for section in document.sections), *document.unread]
    return max(1, len({(place.page, place.slide, place.sheet) for place in places}))


def _words(text: str) -> Counter[str]:
    """Count words; a run of Japanese counts as its pairs of characters, since it has no spaces."""
    text = unicodedata.normalize("NFKC", html.unescape(_MARKUP.sub(r"\1", text)).replace("\\", "")).casefold()
    counts: Counter[str] = Counter()
    for run in _WORD.findall(text):
        wide = len(run) > 1 and run[0] >= "\u2e80"
        counts.update(map("".join, pairwise(run)) if wide else [run])
    return counts


def _shared(one: Path, other: Path) -> int:
    pairs: Sequence[tuple[str, str]] = list(zip(one.parts, other.parts, strict=False))
    return next((number for number, (a, b) in enumerate(pairs) if a != b), len(pairs))
