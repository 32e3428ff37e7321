"""What only one kind of source does, against the real place."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from free_port import find_free_port
from source_places import buckets, mailboxes, repositories, sites, tables

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.sources.addresses import Doorman
from kiban.backends.sources.imap import Account, ImapSource
from kiban.backends.sources.letters import LetterReaders
from kiban.backends.sources.s3 import S3Source, connect
from kiban.backends.sources.safe_http import Limits, SafeHttp
from kiban.backends.sources.sql import SqlSource
from kiban.backends.sources.web import Crawl, WebSource
from kiban.domain.access import NOBODY
from kiban.errors import PartUnavailable, SourceRefused, UnsupportedFormat
from kiban.ports import Source
from kiban.testing.clouds.certificate import write_certificate


def _uris(source: Source, cursor: str = "") -> set[str]:
    return {listed.uri for listed in source.listing(cursor).entries}


# --- S3 ---


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with buckets.server(find_free_port()) as url:
        yield url


@contextmanager
def _busy(url: str, refusals: int) -> Iterator[str]:
    """Stand before a server and say SlowDown so many times before passing anything on."""
    left, target = [refusals], url.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if left[0] > 0:
                left[0] -= 1
                body = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
                self.send_response(503)
            else:
                connection = HTTPConnection(target)
                connection.request("GET", self.path, headers=dict(self.headers))
                answer = connection.getresponse()
                body = answer.read()
                self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/xml")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_bucket_is_listed_beyond_its_first_thousand(s3_url: str, tmp_path: Path) -> None:
    place = buckets.BucketPlace(s3_url)
    place.readers("ん", "late")  # listed after everything else
    for number in range(1005):
        place.put(f"kb/{number:04}.md", "x")
    place.put("kb/.readers.yaml", "readers: [everyone]")
    place.write("ん/最後", "x")
    found = {listed.uri: listed.audience.groups for listed in place.source(tmp_path).listing().entries}
    assert len(found) == 1006
    assert (found["1004.md"], found["ん/最後.md"]) == ({"everyone"}, {"late"})


def test_a_tag_of_an_object_goes_before_the_folders_readers(s3_url: str) -> None:
    place = buckets.BucketPlace(s3_url)
    place.readers("人事", "hr")
    for name in ("a", "b", "c"):
        place.write(f"人事/{name}", name)
    for name, value in (("a", "directors:ou=hr"), ("b", "")):
        place.client.put_object_tagging(
            Bucket=place.bucket,
            Key=f"kb/人事/{name}.md",
            Tagging={"TagSet": [{"Key": "readers", "Value": value}]},
        )
    source = S3Source("s3", place.client, place.bucket, 1000, prefix="kb/", readers_tag="readers")
    found = [listed.audience.groups for listed in source.listing().entries]
    assert found == [{"directors", "ou=hr"}, set(), {"hr"}]


def test_a_bucket_that_is_busy_is_asked_again(s3_url: str) -> None:
    place = buckets.BucketPlace(s3_url)
    place.write("a", "x")
    with _busy(s3_url, refusals=2) as url:
        source = S3Source("s3", buckets.client_of(url), place.bucket, 1000, prefix="kb/")
        assert _uris(source) == {"a.md"}
    with _busy(s3_url, refusals=99) as url, pytest.raises(PartUnavailable, match="SlowDown"):
        list(S3Source("s3", _impatient(url), place.bucket, 1000).listing().entries)


def _impatient(url: str) -> object:
    client = connect(url, "us-east-1", "k", "s", waits=5)
    client.meta.config.retries["total_max_attempts"] = 1
    return client


def test_a_bucket_that_is_not_there_refuses(s3_url: str) -> None:
    with pytest.raises(SourceRefused, match="NoSuchBucket"):
        list(S3Source("s3", buckets.client_of(s3_url), "nowhere", 1000).listing().entries)


# --- Git ---


@pytest.fixture
def repository(tmp_path: Path) -> repositories.RepositoryPlace:
    place = repositories.RepositoryPlace(tmp_path / "kb.git")
    place.readers("a", "everyone")
    place.write("a/規程", "本文")
    return place


def test_what_was_pushed_by_force_is_told_by_its_difference(
    repository: repositories.RepositoryPlace, tmp_path: Path
) -> None:
    listing = repository.source(tmp_path).listing()
    list(listing.entries)
    cursor = repository.repo.refs[repositories.HEAD].decode()
    repository.write("b/新規", "本文")
    repository.remove("a/規程")
    repository.commit(parents=False)
    listing = repository.source(tmp_path).listing(cursor)
    assert not listing.whole
    assert ([listed.uri for listed in listing.entries], listing.gone) == (["b/新規.md"], ("a/規程.md",))


def test_a_file_that_moves_is_new_there_with_the_same_tag(
    repository: repositories.RepositoryPlace, tmp_path: Path
) -> None:
    (was,) = repository.source(tmp_path).listing().entries
    cursor = repository.repo.refs[repositories.HEAD].decode()
    repository.write("a/改名", "本文")
    repository.remove("a/規程")
    listing = repository.source(tmp_path).listing(cursor)
    assert [(listed.uri, listed.tag) for listed in listing.entries] == [("a/改名.md", was.tag)]
    assert listing.gone == (was.uri,)


def test_links_and_submodules_are_left_out(repository: repositories.RepositoryPlace, tmp_path: Path) -> None:
    repository.put("a/link.md", b"/etc/passwd", repositories.LINK)
    repository.put("module", b"1" * 40, repositories.SUBMODULE)
    repository.put("a/large.md", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    source = repository.source(tmp_path)
    assert _uris(source) == {"a/規程.md", "a/large.md"}
    large = next(listed for listed in source.listing().entries if "large" in listed.uri)
    with pytest.raises(UnsupportedFormat, match="LFS"):
        source.fetch(large, tmp_path)


def test_readers_that_are_a_link_close_the_folder(
    repository: repositories.RepositoryPlace, tmp_path: Path
) -> None:
    repository.put("a/.readers.yaml", b"../open.yaml", repositories.LINK)
    assert [listed.audience for listed in repository.source(tmp_path).listing().entries] == [NOBODY]


# --- SQL ---


def _sql(url: str, query: str, **options: float) -> SqlSource:
    return SqlSource("sql", url, query, 100_000, **options)  # type: ignore[arg-type]


def test_a_query_can_change_nothing(postgres_server: EmbeddedPostgres, tmp_path: Path) -> None:
    place = tables.TablePlace(postgres_server.dsn("postgres").replace("postgresql:", "postgresql+psycopg:"))
    place.write("a/b", "本文")
    query = "with gone as (delete from article returning id) select id, id as text from gone"
    with pytest.raises(SourceRefused):
        list(_sql(place.url, query).listing().entries)
    assert _uris(place.source(tmp_path)) == {"a/b.md"}


def test_a_query_that_takes_too_long_is_stopped(postgres_server: EmbeddedPostgres) -> None:
    url = postgres_server.dsn("postgres").replace("postgresql:", "postgresql+psycopg:")
    with pytest.raises(PartUnavailable, match="timeout"):
        list(_sql(url, "select 1 as id, pg_sleep(30)::text as text", seconds=0.2).listing().entries)


def test_between_whole_listings_only_newer_rows_are_asked_for(tmp_path: Path) -> None:
    place = tables.TablePlace(f"sqlite:///{tmp_path}/kb.db")
    for name in ("a/1", "a/2"):
        place.write(name, name)
    source = _sql(place.url, tables.QUERY, whole_every=2)
    first = source.listing()
    assert first.whole and len(list(first.entries)) == 2
    place.write("a/3", "x")
    place.remove("a/1")
    second = source.listing(first.cursor())
    assert not second.whole and {listed.uri for listed in second.entries} == {"a/2.md", "a/3.md"}
    third = source.listing(second.cursor())
    assert third.whole and {listed.uri for listed in third.entries} == {"a/2.md", "a/3.md"}


@pytest.mark.parametrize(
    ("says", "groups"),
    [
        ("'hr, sales'", {"hr", "sales"}),
        ("""'["hr", "営業"]'""", {"hr", "営業"}),
        ("'{hr,sales}'", {"hr", "sales"}),
        ("null", set()),
        ("''", set()),
        ("'[1]'", set()),
        ("'[broken'", set()),
        ("7", set()),
    ],
)
def test_readers_come_as_a_list_json_or_an_array(tmp_path: Path, says: str, groups: set[str]) -> None:
    place = tables.TablePlace(f"sqlite:///{tmp_path}/kb.db")
    (listed,) = _sql(place.url, f"select 1 as id, 'x' as text, {says} as readers").listing().entries
    assert listed.audience.groups == groups


@pytest.mark.parametrize(
    "query",
    [
        "select 1 as number",
        "select 1 as id, 'x' as title",
        "select 1 as id, 'a' as text union all select 1, 'b'",
    ],
)
def test_a_query_without_what_is_needed_is_refused(tmp_path: Path, query: str) -> None:
    place = tables.TablePlace(f"sqlite:///{tmp_path}/kb.db")
    with pytest.raises(SourceRefused):
        list(_sql(place.url, query).listing().entries)


# --- Mail ---


@pytest.fixture(scope="module")
def imap_port() -> Iterator[int]:
    with mailboxes.server(find_free_port()) as port:
        yield port


def test_the_people_on_a_letter_read_it(imap_port: int) -> None:
    place = mailboxes.ImapPlace(imap_port)
    with place.box() as box:
        box.folder.create(place.root)
        box.append(
            mailboxes.letter("見積", "本文", to="田中 <Tanaka@Example.com>, eve@other.example"), place.root
        )
    readers = LetterReaders("mail", people=True, domain="example.com", person="local")
    source = ImapSource("mail", place.account, [place.root], readers, 10_000)
    (listed,) = source.listing().entries
    assert listed.audience.groups == {"mail:person:sato@example.com", "mail:person:tanaka@example.com"}
    assert source.memberships() == {
        "sato": frozenset({"mail:person:sato@example.com"}),
        "tanaka": frozenset({"mail:person:tanaka@example.com"}),
    }


def test_a_folder_made_anew_under_its_old_name_holds_other_letters(imap_port: int, tmp_path: Path) -> None:
    place = mailboxes.ImapPlace(imap_port)
    place.readers("a", "everyone")
    place.write("a/1", "古い")
    listing = place.source(tmp_path).listing()
    (old,) = listing.entries
    with place.box() as box:
        box.folder.delete(f"{place.root}/a")
    place.write("a/1", "新しい")
    listing = place.source(tmp_path).listing(listing.cursor())
    assert ([listed.uri for listed in listing.entries], listing.gone) == ([place.uri("a/1")], (old.uri,))


def test_a_wrong_password_is_refused(imap_port: int) -> None:
    account = Account("127.0.0.1", imap_port, "none", mailboxes.USER, "wrong")
    with pytest.raises(SourceRefused, match="does not let demouser in") as told:
        list(ImapSource("mail", account, ["*"], LetterReaders("mail"), 1).listing().entries)
    assert "wrong" not in str(told.value) + repr(account)


def test_a_server_is_known_by_its_certificate(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path / "server.pem")
    options = ("--cert", str(certificate), "--key", str(certificate))
    with mailboxes.server(find_free_port(), *options) as port:
        trusting, strict = (
            Account("127.0.0.1", port, "starttls", mailboxes.USER, mailboxes.PASSWORD, authority)
            for authority in (certificate, None)
        )
        readers = LetterReaders("mail", {"": ["everyone"]})
        assert list(ImapSource("mail", trusting, ["INBOX"], readers, 1).listing().entries) == []
        with pytest.raises(SourceRefused, match="certificate"):
            list(ImapSource("mail", strict, ["INBOX"], readers, 1).listing().entries)


# --- Web ---


@pytest.fixture(scope="module")
def running() -> Iterator[sites.Site]:
    with sites.Site().running() as site:
        yield site


@pytest.fixture
def site(running: sites.Site) -> sites.Site:
    running.pages.clear()
    running.asked.clear()
    return running


def _web(site: sites.Site, kept: Path, sleep: Callable[[float], None] = lambda _: None) -> WebSource:
    crawl = Crawl((site.url + "/kb/",), {site.url + "/kb/": ["everyone"], site.url + "/kb/hr/": ["hr"]})
    http = SafeHttp(Doorman(["127.0.0.1/32"]), Limits(seconds=20))
    return WebSource("web", http, crawl, kept, 100_000, sleep=sleep)


def _paths(site: sites.Site, source: WebSource) -> set[str]:
    return {listed.uri.removeprefix(site.url) for listed in source.listing().entries}


def test_links_are_followed_as_robots_and_pages_allow(site: sites.Site, tmp_path: Path) -> None:
    site.pages["/robots.txt"] = 200, {}, b"User-agent: *\nDisallow: /kb/secret\nCrawl-delay: 3\n"
    outside = '<a href="/other">o</a><a href="http://elsewhere.example/kb/">e</a><a href="mailto:x@y">m</a>'
    site.html("/kb/", f'<a href="a#x">a</a><a href="secret">s</a><a href="hr/1">h</a>{outside}')
    site.html(
        "/kb/a", '<a href="b">b</a><a href="c" rel="nofollow">c</a>', '<link rel="canonical" href="/kb/A">'
    )
    site.html("/kb/b", "x", '<meta name="ROBOTS" content="noindex, nofollow"><a href="d">d</a>')
    for path in ("/kb/secret", "/kb/c", "/kb/d", "/kb/hr/1", "/other"):
        site.html(path, "x")
    waits: list[float] = []
    found = {
        listed.uri.removeprefix(site.url): listed.audience.groups
        for listed in _web(site, tmp_path, waits.append).listing().entries
    }
    assert found == {"/kb/": {"everyone"}, "/kb/A": {"everyone"}, "/kb/hr/1": {"hr"}}
    assert set(waits) == {3.0}
    assert not {path for path, _ in site.asked} & {"/kb/secret", "/other"}


def test_pages_are_found_by_sitemaps_packed_or_nested(site: sites.Site, tmp_path: Path) -> None:
    site.html("/kb/", "x")
    site.html("/kb/規程", "x")
    index = f"<sitemapindex><sitemap><loc>{site.url}/more.xml.gz</loc></sitemap></sitemapindex>"
    pages = [f"<url><loc>{site.url}/{path}</loc></url>" for path in (f"kb/{quote('規程')}", "outside")]
    more = f"<urlset>{''.join(pages)}</urlset>"
    site.pages["/sitemap.xml"] = 200, {}, index.encode()
    site.pages["/more.xml.gz"] = 200, {}, gzip.compress(more.encode())
    assert _paths(site, _web(site, tmp_path)) == {"/kb/", f"/kb/{quote('規程')}"}
    site.pages["/sitemap.xml"] = 200, {}, b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><urlset/>'
    assert _paths(site, _web(site, tmp_path)) == {"/kb/"}


def test_what_has_not_changed_is_not_sent_again(site: sites.Site, tmp_path: Path) -> None:
    site.html("/kb/", '<a href="a">a</a>')
    site.html("/kb/a", "x")
    first = list(_web(site, tmp_path).listing().entries)
    site.asked.clear()
    assert list(_web(site, tmp_path).listing().entries) == first
    assert (site.asked["/kb/a", 304], site.asked["/kb/a", 200]) == (1, 0)


def test_a_page_that_fails_for_once_is_not_gone(site: sites.Site, tmp_path: Path) -> None:
    site.html("/kb/", '<a href="a">a</a><a href="b">b</a>')
    site.html("/kb/a", "x")
    site.html("/kb/b", "x")
    assert _paths(site, _web(site, tmp_path)) == {"/kb/", "/kb/a", "/kb/b"}
    site.pages["/kb/a"] = 500, {}, b""
    del site.pages["/kb/b"]
    assert _paths(site, _web(site, tmp_path)) == {"/kb/", "/kb/a"}


def test_a_redirect_inwards_is_not_followed(site: sites.Site, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.2", 0)) as inside:
        inside.settimeout(0.1)
        site.html("/kb/", '<a href="a">a</a>')
        site.pages["/kb/a"] = 302, {"Location": f"http://127.0.0.2:{inside.getsockname()[1]}/"}, b""
        assert _paths(site, _web(site, tmp_path)) == {"/kb/"}
        with pytest.raises(TimeoutError):
            inside.accept()


def test_a_site_whose_robots_cannot_be_read_is_left_alone(site: sites.Site, tmp_path: Path) -> None:
    site.html("/kb/", "x")
    site.pages["/robots.txt"] = 503, {}, b""
    with pytest.raises(PartUnavailable, match=r"robots\.txt answered 503"):
        _paths(site, _web(site, tmp_path))


def test_a_script_that_counts_does_not_make_a_page_new(site: sites.Site, tmp_path: Path) -> None:
    tags = set()
    for number in range(2):
        site.html("/kb/", f"本文<script>visits = {number}</script>")
        tags |= {listed.tag for listed in _web(site, tmp_path / str(number)).listing().entries}
    assert len(tags) == 1
