"""A web site as a source of documents (standard library; its helpers fetch and read).

Pages are found by sitemap and by links, within the addresses that the settings name, as robots.txt allows.
A site does not say who reads what, so the settings do: groups by the beginning of an address.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from kiban.backends.sources.fetching import write
from kiban.backends.sources.page import read_page
from kiban.backends.sources.robots import Robots
from kiban.backends.sources.safe_http import Answer, SafeHttp, parse
from kiban.backends.sources.sitemap import read_sitemap
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import DocumentError, GoneMeanwhile, PartUnavailable, UnsafeAddress

_ENDINGS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
}
_AWAY = (401, 403, 404, 410)
_SITEMAPS = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Crawl:
    """Where to begin, and how far to go."""

    start: tuple[str, ...]
    sections: Mapping[str, Sequence[str]]  # beginning of an address -> groups; the longest wins
    scope: tuple[str, ...] = ()  # beginnings of addresses; none: the folders of `start`
    depth: int = 10  # links from a start or a sitemap
    pages: int = 10_000
    agent: str = "Kiban"


@dataclass(frozen=True, slots=True)
class _Page:
    """What was learnt from one address, kept for the next crawl."""

    uri: str
    tag: str
    size: int
    etag: str = ""
    modified: str = ""
    listed: bool = True
    links: tuple[str, ...] = ()


class WebSource:
    """Lists the pages of a site. Every listing is whole; `kept` remembers etags, so that what has not
    changed is not sent again, and what does not answer for once is not taken for gone."""

    def __init__(
        self,
        name: str,
        http: SafeHttp,
        crawl: Crawl,
        kept: Path,
        max_bytes: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._http = http
        self._crawl = crawl
        self._kept = kept / "pages.json"
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._start = tuple(str(parse(url)) for url in crawl.start)
        self._scope = tuple(map(_plain, crawl.scope)) or tuple(urljoin(url, ".") for url in self._start)
        self._sections = {_plain(prefix): tuple(groups) for prefix, groups in crawl.sections.items()}

    def listing(self, cursor: str = "") -> Listing:
        return Listing(self._entries())

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        if not self._in_scope(listed.uri):
            raise GoneMeanwhile(f"{listed.uri} is no longer in scope")
        answer = self._http.get(listed.uri)
        if answer.status in _AWAY:
            raise GoneMeanwhile(f"{listed.uri} answered {answer.status}")
        if answer.status != 200:
            raise PartUnavailable(f"{listed.uri} answered {answer.status}")
        if not self._in_scope(answer.url):
            raise GoneMeanwhile(f"{listed.uri} leads elsewhere")
        return write([answer.body], listed, folder, f"page{_ending(answer)}", self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return nothing: the settings name groups, another source their members."""
        return {}

    def _entries(self) -> Iterator[Listed]:
        known, now, listed = self._remembered(), dict[str, _Page](), set[str]()
        robots = Robots(self._http, self._crawl.agent)
        waiting = deque((url, 0) for url in dict.fromkeys((*self._start, *self._mapped(robots))))
        seen = {url for url, _ in waiting}
        while waiting and len(now) < self._crawl.pages:
            url, depth = waiting.popleft()
            page = self._visit(url, known.get(url), robots) if robots.allow(url) else None
            if page is None:
                continue
            now[url] = page
            if page.listed and page.uri not in listed:
                listed.add(page.uri)
                yield Listed(page.uri, page.tag, page.size, self._audience(page.uri), url=page.uri)
            for link in page.links if depth < self._crawl.depth else ():
                if link not in seen:
                    seen.add(link)
                    waiting.append((link, depth + 1))
        self._remember(now)

    def _visit(self, url: str, known: _Page | None, robots: Robots) -> _Page | None:
        """Return what a page says now; what it said last when it does not answer; None when it is gone."""
        self._sleep(robots.delay(url))
        try:
            answer = self._http.get(url, _conditions(known))
            if answer.status == 304 and known:
                return known
            if answer.status == 200:
                return self._read(answer)
            if answer.status in _AWAY:
                return None
            raise PartUnavailable(f"{url} answered {answer.status}")
        except (UnsafeAddress, DocumentError) as error:
            _log.warning("%s: %s", url, error)
            return None
        except PartUnavailable as error:
            if url in self._start and known is None:
                raise
            _log.warning("%s: %s", url, error)
            return known

    def _read(self, answer: Answer) -> _Page | None:
        if not self._in_scope(answer.url):
            return None
        etag, modified = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
        ending = _ending(answer)
        page = _Page(
            answer.url, sha256(answer.body).hexdigest(), len(answer.body), etag, modified, bool(ending)
        )
        if ending != ".html":
            return page
        notes = read_page(answer.body, answer.url, _charset(answer))
        rules = notes.robots | {
            word.strip() for word in answer.headers.get("x-robots-tag", "").lower().split(",")
        }
        uri = self._usable(notes.canonical) or answer.url
        links = {link for raw in notes.links if (link := self._usable(raw))} - {answer.url}
        return replace(
            page,
            uri=uri,
            tag=notes.digest,
            listed=not rules & {"noindex", "none"},
            links=() if rules & {"nofollow", "none"} else tuple(sorted(links)),
        )

    def _mapped(self, robots: Robots) -> list[str]:
        """Return the pages that the sites' sitemaps name."""
        sites = dict.fromkeys(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in self._start)
        maps = deque(
            found for site in sites for found in (*robots.sitemaps(site + "/"), f"{site}/sitemap.xml")
        )
        seen: set[str] = set()
        pages: list[str] = []
        while maps and len(seen) < _SITEMAPS:
            if (address := maps.popleft()) in seen:
                continue
            seen.add(address)
            try:
                answer = self._http.get(address)
            except (UnsafeAddress, DocumentError, PartUnavailable) as error:
                _log.warning("%s: %s", address, error)
                continue
            found, further = read_sitemap(answer.body) if answer.status == 200 else ([], [])
            pages += [page for raw in found if (page := self._usable(raw))]
            maps.extend(further)
        return pages

    def _usable(self, url: str) -> str:
        """Return an address in its one spelling if it is in scope, else ""."""
        try:
            plain = str(parse(url)) if url else ""
        except UnsafeAddress:
            return ""
        return plain if plain and self._in_scope(plain) else ""

    def _in_scope(self, url: str) -> bool:
        return any(url.startswith(prefix) for prefix in self._scope)

    def _audience(self, url: str) -> Audience:
        of = [prefix for prefix in self._sections if url.startswith(prefix)]
        return Audience(frozenset(self._sections[max(of, key=len)])) if of else NOBODY

    def _remembered(self) -> dict[str, _Page]:
        try:
            pages = json.loads(self._kept.read_text())
            return {url: _Page(**{**says, "links": tuple(says["links"])}) for url, says in pages.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):  # then all is asked for anew
            return {}

    def _remember(self, pages: Mapping[str, _Page]) -> None:
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._kept.with_suffix(".new")
        fresh.write_text(json.dumps({url: asdict(page) for url, page in pages.items()}))
        fresh.replace(self._kept)


def _plain(prefix: str) -> str:
    return str(parse(prefix))


def _conditions(known: _Page | None) -> dict[str, str]:
    given = {"If-None-Match": known.etag, "If-Modified-Since": known.modified} if known else {}
    return {name: value for name, value in given.items() if value}


def _ending(answer: Answer) -> str:
    return _ENDINGS.get(answer.headers.get("content-type", "").partition(";")[0].strip().lower(), "")


def _charset(answer: Answer) -> str:
    return answer.headers.get("content-type", "").lower().partition("charset=")[2].strip(' "') or "utf-8"
