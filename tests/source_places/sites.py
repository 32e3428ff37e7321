"""A web site on a server of this machine, which the settings allow."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

from kiban.backends.sources.addresses import Doorman
from kiban.backends.sources.safe_http import Limits, SafeHttp
from kiban.backends.sources.web import Crawl, WebSource
from source_places import PlainGroups

Page = tuple[int, Mapping[str, str], bytes]  # status, headers, body


class Site:
    """Answers what `pages` says, by decoded path, with etags."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: Counter[tuple[str, int]] = Counter()  # by path and status
        self.headers: list[Mapping[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path)
                status, headers, body = site.pages.get(path, (404, {}, b""))
                etag = f'"{sha256(body).hexdigest()}"'
                if status == 200 and self.headers.get("If-None-Match") == etag:
                    status, body = 304, b""
                site.asked[path, status] += 1
                site.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(status)
                for name, value in {"ETag": etag, "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Site]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def html(self, path: str, body: str, head: str = "") -> None:
        page = f"<html><head>{head}</head><body>{body}</body></html>".encode()
        self.pages[path] = 200, {"Content-Type": "text/html; charset=utf-8"}, page


class SitePlace(PlainGroups):
    keeps_versions = False
    changes_in_place = True

    def __init__(self, site: Site) -> None:
        self.site = site
        self.sections: dict[str, tuple[str, ...]] = {}
        site.pages.clear()
        self._save()

    def readers(self, folder: str, *groups: str) -> None:
        self.sections[f"{self.site.url}/{quote(folder)}/"] = groups

    def write(self, name: str, text: str) -> None:
        self.site.html(f"/{name}", f"<p>{text}</p>")
        self._save()

    def remove(self, name: str) -> None:
        del self.site.pages[f"/{name}"]
        self._save()

    def _save(self) -> None:
        links = [f'<a href="{quote(path)}">x</a>' for path in self.site.pages if path != "/"]
        self.site.html("/", "".join(links), '<meta name="robots" content="noindex">')

    def uri(self, name: str) -> str:
        return f"{self.site.url}/{quote(name)}"

    def source(self, kept: Path, max_bytes: int = 100_000, **options: object) -> WebSource:
        http = SafeHttp(Doorman(["127.0.0.1/32"]), Limits(seconds=20))
        crawl = Crawl((self.site.url + "/",), dict(self.sections))
        return WebSource("site", http, crawl, kept / "site", max_bytes)

    def unreachable(self, kept: Path) -> WebSource:
        crawl = Crawl(("http://127.0.0.1:9/",), {})
        return WebSource("site", SafeHttp(Doorman(["127.0.0.1/32"])), crawl, kept / "other", 1)
