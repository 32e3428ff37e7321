"""Confluence, SharePoint and Google Drive on local servers that answer as they are documented to."""

from __future__ import annotations

import itertools
from pathlib import Path

from kiban.backends.sources.confluence import ConfluenceSource
from kiban.backends.sources.confluence_client import ConfluenceAccount
from kiban.backends.sources.drive import DriveSource
from kiban.backends.sources.drive_readers import DriveReaders
from kiban.backends.sources.drive_tokens import DriveAccount
from kiban.backends.sources.graph import GraphSource
from kiban.backends.sources.graph_readers import GraphReaders
from kiban.backends.sources.graph_tokens import GraphAccount
from kiban.testing.clouds import confluence, drive, graph

NOWHERE = "127.0.0.1:9"
EVERYONE = frozenset(["everyone"])
_numbers = itertools.count(1)


class ConfluencePlace:
    """A space; every page has the restriction of its folder. It is listed whole every time, which is how
    Confluence tells of deletions and restrictions."""

    keeps_versions = False
    changes_in_place = True

    def __init__(self, server: confluence.ConfluenceServer) -> None:
        self.server = server
        self.key = f"KB{next(_numbers)}"
        self.space = server.spaces[self.key] = confluence.SpaceState("知識")
        self._ids: dict[str, str] = {}
        self._readers: dict[str, list[str]] = {}

    def audience(self, *groups: str) -> set[str]:
        if groups == ("everyone",):
            return {f"wiki:{self.key}", "everyone"}
        return {f"wiki:{self.key}:group:{group}" for group in groups}

    def readers(self, folder: str, *groups: str) -> None:
        everyone = groups == ("everyone",)
        self.space.readers += [("anonymous", "")] if everyone else [("group", group) for group in groups]
        self._readers[folder] = [] if everyone else list(groups)
        for name, id in self._ids.items():
            if name.startswith(f"{folder}/") and id in self.server.things:
                self.server.restrict(id, groups=self._readers[folder])

    def write(self, name: str, text: str) -> None:
        id = self._ids.setdefault(name, str(next(_numbers)))
        groups = frozenset(self._readers.get(name.partition("/")[0], ()))
        body = f"<p>{text}</p>"
        self.server.put(confluence.Thing(id, "page", self.key, name, body, groups=groups))

    def remove(self, name: str) -> None:
        del self.server.things[self._ids[name]]

    def uri(self, name: str) -> str:
        return f"{self.key}/{self._ids.get(name)}.html"

    def source(self, kept: Path, max_bytes: int = 100_000) -> ConfluenceSource:
        return self._source(self.server.url, max_bytes)

    def unreachable(self, kept: Path) -> ConfluenceSource:
        return self._source(f"http://{NOWHERE}", 1)

    def _source(self, url: str, max_bytes: int) -> ConfluenceSource:
        account = ConfluenceAccount(url + self.server.context, True, confluence.USER, confluence.TOKEN)
        options = {"anonymous_readers": EVERYONE, "whole_every": 0.0, "longest_wait": 0.0}
        return ConfluenceSource("wiki", account, [self.key], max_bytes, **options)  # type: ignore[arg-type]


class LibraryPlace:
    """A document library of a site of its own."""

    keeps_versions = False
    changes_in_place = True

    def __init__(self, server: graph.GraphServer, certificate: Path) -> None:
        self.server = server
        self.certificate = certificate
        self.id = f"b!library{next(_numbers)}"
        server.sites[f"host:/sites/{self.id}"] = self.id
        self.library = server.drives[self.id] = graph.Drive(self.id)
        self._ids: dict[str, str] = {}

    def audience(self, *groups: str) -> set[str]:
        return {group if group == "everyone" else f"sp:group:{group}" for group in groups}

    def readers(self, folder: str, *groups: str) -> None:
        everyone = groups == ("everyone",)
        granted = [graph.link("organization")] if everyone else [graph.granted("group", g) for g in groups]
        self.library.share(self._folder(folder), granted)

    def write(self, name: str, text: str) -> None:
        folder, _, title = name.partition("/")
        id = self._ids.setdefault(name, f"item{next(_numbers)}")
        self.library.put(id, f"{title}.md", text.encode(), self._folder(folder))

    def remove(self, name: str) -> None:
        self.library.delete(self._ids[name])

    def uri(self, name: str) -> str:
        return f"{self.id}/{self._ids.get(name)}"

    def source(self, kept: Path, max_bytes: int = 100_000) -> GraphSource:
        return self._source(self.server.graph, self.server.url, max_bytes)

    def unreachable(self, kept: Path) -> GraphSource:
        return self._source(f"https://{NOWHERE}/v1.0", f"https://{NOWHERE}", 1)

    def _folder(self, folder: str) -> str:
        if folder not in self._ids:
            self._ids[folder] = f"folder{next(_numbers)}"
            self.library.put(self._ids[folder], folder)
        return self._ids[folder]

    def _source(self, url: str, login: str, max_bytes: int) -> GraphSource:
        account = GraphAccount(graph.TENANT, graph.CLIENT, graph.SECRET, url, login, str(self.certificate))
        sites = [f"host:/sites/{self.id}"]
        readers = GraphReaders("sp", organization=EVERYONE)
        return GraphSource("sp", account, readers, max_bytes, sites=sites, longest_wait=0.0)


class DrivePlace:
    """A folder of Google Drive."""

    keeps_versions = False
    changes_in_place = True

    def __init__(self, server: drive.DriveServer) -> None:
        self.server = server
        self.root = f"root{next(_numbers)}"
        server.put(self.root, "知識", "root", mime=drive.FOLDER)
        self._ids: dict[str, str] = {}

    def audience(self, *groups: str) -> set[str]:
        return {group if group == "everyone" else f"drive:group:{group}" for group in groups}

    def readers(self, folder: str, *groups: str) -> None:
        everyone = groups == ("everyone",)
        granted = [drive.granted("anyone")] if everyone else [drive.granted("group", g) for g in groups]
        self.server.share(self._folder(folder), *granted)

    def write(self, name: str, text: str) -> None:
        folder, _, title = name.partition("/")
        id = self._ids.setdefault(name, f"file{next(_numbers)}")
        self.server.put(id, f"{title}.md", self._folder(folder), text.encode())

    def remove(self, name: str) -> None:
        self.server.delete(self._ids[name])

    def uri(self, name: str) -> str:
        return str(self._ids.get(name))

    def source(self, kept: Path, max_bytes: int = 100_000) -> DriveSource:
        return self._source(self.server.url, max_bytes)

    def unreachable(self, kept: Path) -> DriveSource:
        return self._source(f"http://{NOWHERE}", 1)

    def _folder(self, folder: str) -> str:
        if folder not in self._ids:
            self._ids[folder] = f"folder{next(_numbers)}"
            self.server.put(self._ids[folder], folder, self.root, mime=drive.FOLDER)
        return self._ids[folder]

    def _source(self, url: str, max_bytes: int) -> DriveSource:
        account = DriveAccount.from_key(self.server.key, drive_url=url)
        readers = DriveReaders("drive", anyone=EVERYONE)
        return DriveSource("drive", account, readers, max_bytes, folders=[self.root], longest_wait=0.0)
