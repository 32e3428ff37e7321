"""How many requests the clouds' sources need, counted by local servers that page as the clouds do.

A thousand things in fifty folders, readers of their own on one folder in ten: pages of Confluence, files of
a SharePoint library and of a shared drive of Google. Of Slack, a thousand messages of fifty days in five
channels, a tenth of them with replies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from kiban.backends.sources.confluence import ConfluenceSource
from kiban.backends.sources.confluence_client import ConfluenceAccount
from kiban.backends.sources.drive import DriveSource
from kiban.backends.sources.drive_readers import DriveReaders
from kiban.backends.sources.drive_tokens import DriveAccount
from kiban.backends.sources.graph import GraphSource
from kiban.backends.sources.graph_readers import GraphReaders
from kiban.backends.sources.graph_tokens import GraphAccount
from kiban.backends.sources.slack import SlackSource
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.testing.clouds import confluence, drive, graph, slack
from kiban.testing.clouds.certificate import write_certificate
from kiban.testing.clouds.server import CloudServer

ITEMS, FOLDERS, FETCHED = 1_000, 50, 10


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests, those for a token or a batch of twenty counted as one each."""

    source: str
    first: int  # to list a thousand things for the first time
    again: int  # to hear that nothing happened
    fetch: float  # a document
    memberships: int  # of 20 groups; of Slack, of five channels
    documents: int
    seconds: float  # of the first listing


class _Source(Protocol):
    def listing(self, cursor: str = "") -> Listing: ...

    def fetch(self, listed: Listed, folder: Path) -> SourceFile: ...

    def memberships(self) -> object: ...


def count() -> Iterator[Requests]:
    for name, opened in _OPENED.items():
        with TemporaryDirectory() as folder, opened(Path(folder)) as (server, source):
            yield _counted(name, server, source, Path(folder))


def _counted(name: str, server: CloudServer, source: _Source, folder: Path) -> Requests:
    began = time.monotonic()
    listing = source.listing()
    entries = list(listing.entries)
    seconds, first = time.monotonic() - began, server.requests()
    again = source.listing(listing.cursor())
    assert not again.whole
    list(again.entries)
    after_delta = server.requests()
    for listed in islice(entries, FETCHED):
        source.fetch(listed, folder)
    after_fetch = server.requests()
    source.memberships()
    return Requests(
        name,
        first,
        after_delta - first,
        (after_fetch - after_delta) / FETCHED,
        server.requests() - after_fetch,
        len(entries),
        seconds,
    )


@contextmanager
def _confluence(_: Path) -> Iterator[tuple[CloudServer, _Source]]:
    with confluence.ConfluenceServer() as server:
        server.spaces["HR"] = confluence.SpaceState("HR", [("group", "g0")])
        server.groups = {f"g{n}": [f"u{n}", "u0"] for n in range(20)}
        old = time.time() - 86_400
        for n in range(ITEMS):
            parent = "" if n < FOLDERS else str(n % FOLDERS)
            server.put(confluence.Thing(str(n), "page", "HR", f"t{n}", "<p>x</p>", parent, modified=old))
        for n in range(0, FOLDERS, 10):
            server.restrict(str(n), groups=["g1"])
        account = ConfluenceAccount(server.url + server.context, True, confluence.USER, confluence.TOKEN)
        yield server, ConfluenceSource("confluence", account, ["HR"], 10_000)


@contextmanager
def _graph(folder: Path) -> Iterator[tuple[CloudServer, _Source]]:
    certificate = write_certificate(folder / "local.pem")
    with graph.GraphServer(certificate) as server:
        server.sites["host:/sites/HR"] = "site"
        server.drives["library"] = library = graph.Drive("site")
        library.items["root-id"].permissions = [graph.granted("group", "g0")]
        for n in range(FOLDERS):
            library.put(f"folder{n}", f"folder{n}")
            if n % 10 == 0:
                library.share(f"folder{n}", [graph.granted("group", "g1")])
        for n in range(ITEMS):
            library.put(f"item{n}", f"{n}.txt", b"x", f"folder{n % FOLDERS}")
        server.groups = {f"g{n}": [] for n in range(20)}
        account = GraphAccount(
            graph.TENANT, graph.CLIENT, graph.SECRET, server.graph, server.url, str(certificate)
        )
        yield server, GraphSource("graph", account, GraphReaders("graph"), 10_000, sites=["host:/sites/HR"])


@contextmanager
def _drive(_: Path) -> Iterator[tuple[CloudServer, _Source]]:
    with drive.DriveServer() as server:
        server.drives["HR"] = [drive.granted("group", "g0@example.com")]
        for n in range(FOLDERS):
            server.put(f"folder{n}", f"folder{n}", "HR", mime=drive.FOLDER)
            if n % 10 == 0:
                server.share(f"folder{n}", drive.granted("group", "g1@example.com"))
        for n in range(ITEMS):
            server.put(f"item{n}", f"{n}.txt", f"folder{n % FOLDERS}", b"x")
        server.groups = {f"g{n}@example.com": [] for n in range(20)}
        account = DriveAccount.from_key(
            server.key, drive_url=server.url, directory_url=server.url, directory=True
        )
        yield server, DriveSource("drive", account, DriveReaders("drive"), 10_000, drives=["HR"])


@contextmanager
def _slack(_: Path) -> Iterator[tuple[CloudServer, _Source]]:
    with slack.SlackServer() as server:
        now = time.time()
        for n in range(5):
            server.channels[f"C{n}"] = slack.Channel(f"C{n}", f"channel{n}", members=["U1"])
        server.user("U1", "sato")
        for n in range(ITEMS):
            ts = now - 60 - n * 50 * 86_400 / ITEMS
            server.channels[f"C{n % 5}"].say(ts, "U1", f"message {n}")
            if n // 5 % 10 == 0:
                server.channels[f"C{n % 5}"].say(ts + 1, "U1", "reply", thread=ts)
        yield server, SlackSource("slack", slack.TOKEN, 100_000, url=f"{server.url}/api")


_OPENED = {"confluence": _confluence, "graph": _graph, "drive": _drive, "slack": _slack}
