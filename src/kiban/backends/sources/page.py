"""What a web page says of itself and of others (standard library)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

_UNSEEN = ("script", "style", "noscript", "template")


@dataclass(slots=True)
class PageNotes:
    links: list[str] = field(default_factory=list)  # absolute
    canonical: str = ""  # absolute; "" if it names none
    robots: set[str] = field(default_factory=set)  # e.g. noindex
    digest: str = ""  # of the words people see: a counter in a script changes nothing


def read_page(content: bytes, url: str, charset: str = "utf-8") -> PageNotes:
    try:
        text = content.decode(charset, errors="replace")
    except LookupError:  # a charset nobody knows
        text = content.decode(errors="replace")
    reader = _Reader(url)
    reader.feed(text)
    reader.close()
    reader.notes.digest = hashlib.sha256(" ".join(reader.words).encode(errors="replace")).hexdigest()
    return reader.notes


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.notes = PageNotes()
        self.words: list[str] = []
        self._base = url
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        says = {name: value or "" for name, value in attrs}
        self._unseen += tag in _UNSEEN
        if tag == "base" and says.get("href"):
            self._base = self._absolute(says["href"])
        elif tag == "a" and says.get("href") and "nofollow" not in says.get("rel", "").lower():
            self.notes.links.append(self._absolute(says["href"]))
        elif tag == "link" and says.get("rel", "").lower() == "canonical" and says.get("href"):
            self.notes.canonical = self._absolute(says["href"])
        elif tag == "meta" and says.get("name", "").lower() in ("robots", "kiban"):
            self.notes.robots |= {word.strip().lower() for word in says.get("content", "").split(",")}

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words += data.split()

    def _absolute(self, href: str) -> str:
        try:
            return urljoin(self._base, href.strip()).partition("#")[0]
        except ValueError:  # not an address
            return ""
