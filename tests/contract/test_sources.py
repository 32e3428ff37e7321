"""Every source keeps the same promises, each against a real place of its kind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from free_port import find_free_port
from source_places import Place, buckets, clouds, mailboxes, repositories, sites, tables

from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, Listing
from kiban.errors import GoneMeanwhile, OversizeFile, PartUnavailable
from kiban.ports import Source
from kiban.testing.clouds.certificate import write_certificate
from kiban.testing.clouds.confluence import ConfluenceServer
from kiban.testing.clouds.drive import DriveServer
from kiban.testing.clouds.graph import GraphServer

PAY, TRAVEL, LUNCH = "人事/給与規程", "人事/旅費規程", "総務/社員食堂"
KINDS = ("s3", "git", "git-server", "sqlite", "postgres", "imap", "mail-folder", "web")
CLOUDS = ("confluence", "sharepoint", "google-drive")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with buckets.server(find_free_port()) as url:
        yield url


@pytest.fixture(scope="module")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    root = tmp_path_factory.mktemp("served")
    with repositories.server(root) as address:
        yield root, address


@pytest.fixture(scope="module")
def imap_port() -> Iterator[int]:
    with mailboxes.server(find_free_port()) as port:
        yield port


@pytest.fixture(scope="module")
def site() -> Iterator[sites.Site]:
    with sites.Site().running() as running:
        yield running


@pytest.fixture(scope="module")
def confluence() -> Iterator[ConfluenceServer]:
    with ConfluenceServer() as server:
        yield server


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GraphServer, Path]]:
    certificate = write_certificate(tmp_path_factory.mktemp("tls") / "local.pem")
    with GraphServer(certificate) as server:
        yield server, certificate


@pytest.fixture(scope="module")
def google() -> Iterator[DriveServer]:
    with DriveServer() as server:
        yield server


@pytest.fixture(params=KINDS + CLOUDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    needed = {"s3": "s3_url", "git-server": "git_server", "postgres": "postgres_server", "imap": "imap_port"}
    needed |= {"confluence": "confluence", "sharepoint": "graph", "google-drive": "google", "web": "site"}
    server = request.getfixturevalue(needed[request.param]) if request.param in needed else None
    match request.param:
        case "s3":
            return buckets.BucketPlace(server)
        case "git":
            return repositories.RepositoryPlace(tmp_path / "kb.git")
        case "git-server":
            root, address = server
            return repositories.RepositoryPlace(root / tmp_path.name, f"{address}/{tmp_path.name}")
        case "sqlite":
            return tables.TablePlace(f"sqlite:///{tmp_path}/kb.db")
        case "postgres":
            return tables.TablePlace(server.dsn("postgres").replace("postgresql:", "postgresql+psycopg:"))
        case "imap":
            return mailboxes.ImapPlace(server)
        case "web":
            return sites.SitePlace(server)
        case "confluence" | "sharepoint" | "google-drive":
            return _cloud(request.param, server)
        case _:
            (tmp_path / "letters").mkdir()
            return mailboxes.MailFolderPlace(tmp_path / "letters")


def _cloud(kind: str, server: Any) -> Place:
    match kind:
        case "confluence":
            return clouds.ConfluencePlace(server)
        case "sharepoint":
            return clouds.LibraryPlace(*server)
        case _:
            return clouds.DrivePlace(server)


@pytest.fixture
def filled(place: Place) -> Place:
    place.readers("人事", "hr", "directors")
    place.readers("総務", "everyone")
    for name in (PAY, TRAVEL, LUNCH):
        place.write(name, f"{name}の本文。")
    return place


def test_what_is_there_is_listed_with_its_readers(filled: Place, tmp_path: Path) -> None:
    known = _apply(filled.source(tmp_path).listing(), {})
    assert {uri: listed.audience.groups for uri, listed in known.items()} == {
        filled.uri(PAY): filled.audience("hr", "directors"),
        filled.uri(TRAVEL): filled.audience("hr", "directors"),
        filled.uri(LUNCH): filled.audience("everyone"),
    }


def test_without_readers_nobody_reads(place: Place, tmp_path: Path) -> None:
    place.write(PAY, "誰が読めるか書いていない。")
    assert [listed.audience for listed in place.source(tmp_path).listing().entries] == [NOBODY]


def test_a_tag_changes_with_the_content_and_only_then(filled: Place, tmp_path: Path) -> None:
    first, again = (_apply(filled.source(tmp_path).listing(), {}) for _ in range(2))
    assert first == again
    filled.write(PAY, "新しい本文。")
    changed = _apply(filled.source(tmp_path).listing(), {})
    assert {line.tag for line in changed.values()} - {line.tag for line in first.values()}
    assert changed[filled.uri(LUNCH)] == first[filled.uri(LUNCH)]
    if filled.changes_in_place:
        assert changed.keys() == first.keys()


def test_what_is_fetched_is_what_was_written(filled: Place, tmp_path: Path) -> None:
    source = filled.source(tmp_path)
    listed = _apply(source.listing(), {})[filled.uri(PAY)]
    file = source.fetch(listed, _folder(tmp_path))
    content = file.path.read_bytes()
    assert f"{PAY}の本文。" in _text(content)
    assert (file.sha256, file.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (file.uri, file.audience, file.tag) == (listed.uri, listed.audience, listed.tag)
    assert file.path.is_relative_to(tmp_path)
    assert file.path.suffix in (".md", ".eml", ".html")


def test_what_went_between_listing_and_fetching_is_gone(filled: Place, tmp_path: Path) -> None:
    source = filled.source(tmp_path)
    listed = _apply(source.listing(), {})[filled.uri(PAY)]
    filled.remove(PAY)
    if filled.keeps_versions:
        assert f"{PAY}の本文。" in source.fetch(listed, _folder(tmp_path)).path.read_text()
    else:
        with pytest.raises(GoneMeanwhile):
            source.fetch(listed, _folder(tmp_path))


def test_what_is_too_large_is_not_kept(filled: Place, tmp_path: Path) -> None:
    filled.write(PAY, "大" * 5000)
    source = filled.source(tmp_path, max_bytes=10_000)
    listed = _apply(source.listing(), {})[filled.uri(PAY)]
    folder = _folder(tmp_path)
    with pytest.raises(OversizeFile):
        source.fetch(listed, folder)
    assert not any(folder.iterdir())


def test_what_a_cursor_tells_equals_a_whole_listing(filled: Place, tmp_path: Path) -> None:
    known, cursor = _keep_up(filled.source(tmp_path), {}, "")
    filled.write(PAY, "改訂した。")
    filled.write("総務/駐車場", "裏にある。")
    filled.remove(TRAVEL)
    known, cursor = _keep_up(filled.source(tmp_path), known, cursor)  # a new process
    assert known == _apply(filled.source(tmp_path).listing(), {})
    filled.remove("総務/駐車場")
    filled.write(TRAVEL, "また書いた。")
    known, cursor = _keep_up(filled.source(tmp_path), known, cursor)
    assert known == _apply(filled.source(tmp_path).listing(), {})
    known, _ = _keep_up(filled.source(tmp_path), known, cursor)
    assert known == _apply(filled.source(tmp_path).listing(), {})


def test_whoever_may_no_longer_read_is_told_of_by_the_next_listing(filled: Place, tmp_path: Path) -> None:
    known, cursor = _keep_up(filled.source(tmp_path), {}, "")
    filled.readers("人事", "directors")
    known, _ = _keep_up(filled.source(tmp_path), known, cursor)
    assert known[filled.uri(PAY)].audience == Audience(frozenset(filled.audience("directors")))
    assert known[filled.uri(LUNCH)].audience.is_everyone


def test_a_cursor_nobody_understands_asks_for_everything(filled: Place, tmp_path: Path) -> None:
    for cursor in ("nonsense", "[]", "0" * 40, '{"a": 1}', "null"):
        assert len(_apply(filled.source(tmp_path).listing(cursor), {})) == 3


def test_a_place_that_does_not_answer_is_not_an_empty_place(filled: Place, tmp_path: Path) -> None:
    with pytest.raises(PartUnavailable):
        list(filled.unreachable(tmp_path).listing().entries)


def _apply(listing: Listing, known: dict[str, Listed]) -> dict[str, Listed]:
    """Do what ingest does with a listing."""
    entries = {listed.uri: listed for listed in listing.entries}
    kept = {} if listing.whole else {uri: was for uri, was in known.items() if uri not in listing.gone}
    return kept | entries


def _keep_up(source: Source, known: dict[str, Listed], cursor: str) -> tuple[dict[str, Listed], str]:
    listing = source.listing(cursor)
    return _apply(listing, known), listing.cursor()


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "fetched").mkdir(exist_ok=True)
    return tmp_path / "fetched"


def _text(content: bytes) -> str:
    """Return what a person would read, letters being written in base64."""
    if b"Message-ID" not in content:
        return content.decode()
    body = message_from_bytes(content, policy=policy.default).get_body()
    return str(body.get_content()) if body else ""
