"""From a real place of each kind to who finds it: the sources of the settings, wired as for the flows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from free_port import find_free_port
from source_places import Place, buckets, clouds, mailboxes, repositories, sites

from kiban.backends.postgres.connect import Postgres
from kiban.domain.access import Principal
from kiban.domain.document import Document, ParsedDocument, SourceFile
from kiban.domain.question import Passage
from kiban.errors import KibanError
from kiban.ingest.absorb import Cutter
from kiban.retrieve.search import find
from kiban.settings import Settings
from kiban.testing import HashEmbedder, WordTokenizer
from kiban.testing.clouds import graph
from kiban.testing.clouds.certificate import write_certificate
from kiban.wiring.documents import Documents
from kiban.wiring.furniture import Furniture

PAY, LUNCH = "人事/給与規程", "総務/lunch"
PEOPLE = {"tanaka": ["hr", "staff"], "sato": ["staff"], "suzuki": []}
KINDS = ("git", "s3", "mail-folder", "web", "sharepoint")


class QuickFurniture(Furniture):
    """The house's own furniture, but for the test's database and an embedder without weights."""

    def __init__(self, settings: Settings, postgres: Postgres) -> None:
        super().__init__(settings)
        self.postgres = postgres
        self.tokenizer = WordTokenizer()  # type: ignore[assignment]
        self.quick = HashEmbedder()

    def cutters(self) -> tuple[Cutter, ...]:
        return (Cutter(self.tokenizer, {number: self.quick for number, *_ in self.library.generations()}),)


class Readings:
    """A parser that counts what it is given."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self.read: list[str] = []

    def parse(self, file: SourceFile) -> ParsedDocument:
        self.read.append(file.uri)
        parsed: ParsedDocument = self._parser.parse(file)
        return parsed

    def close(self) -> None:
        self._parser.close()


class Rehearsal:
    """A house with one source, opened anew from its settings whenever these have changed."""

    def __init__(self, kind: str, place: Any, folder: Path, postgres: Postgres, **said: Any) -> None:
        self._said = said
        self.kind, self._place, self._folder, self._postgres = kind, place, folder, postgres
        documents = folder / "documents"
        documents.mkdir()
        (documents / ".people.yaml").write_text(_people(PEOPLE))
        self.open()
        self.parser = self.furniture.parser = Readings(self.furniture.parser)  # type: ignore[assignment]
        library = self.furniture.library
        library.add_generation("quick", "sha", self.furniture.quick.dimensions, "words-1", "plain")

    def open(self) -> Documents:
        said = {"kind": self.kind, "name": "place", **_settings(self.kind, self._place), **self._said}
        settings = Settings(
            state=self._folder,
            documents=self._folder / "documents",
            sources=(said,),  # type: ignore[arg-type]
        )
        before = self.__dict__.get("furniture")
        self.furniture = QuickFurniture(settings, self._postgres)
        if before is not None:
            self.furniture.parser = before.parser
        self.documents = Documents(self.furniture)
        return self.documents

    def ingest_all(self) -> None:
        for name in self.documents.sources():
            assert not self.documents.ingest(name).failed

    def stored(self) -> list[Document]:
        return self.furniture.library.documents("place")

    def state(self) -> dict[str, str]:
        return {document.uri: document.state.value for document in self.stored()}

    def finds(self, person: str, question: str) -> list[Passage]:
        """Search as a person whom the directory knows in the groups that the sources gave."""
        who = Principal(person, self.furniture.directory.groups_of(person))
        furniture, (cutter,) = self.furniture, self.furniture.cutters()
        ((generation, embedder),) = cutter.embedders.items()
        return find(
            question,
            who,
            index=furniture.index_of(generation),
            tokenizer=furniture.tokenizer,
            embedder=embedder,
            generation=generation,
        )

    def found(self, person: str, words: str) -> bool:
        return any(words in passage.original for passage in self.finds(person, words))


def _settings(kind: str, place: Any) -> dict[str, Any]:
    """Return what kiban.toml would say of a place."""
    match kind:
        case "git":
            return {"repository": str(place.path), "page": "https://git.example/kb/"}
        case "s3":
            endpoint = place.client.meta.endpoint_url
            keys = {"access_key": "key", "secret_key": "secret"}
            return {"bucket": place.bucket, "prefix": "kb/", "endpoint": endpoint, **keys}
        case "mail-folder":
            return {"path": place.root, "readers": place.groups or "people"}
        case "web":
            return {
                "start": (place.site.url + "/",),
                "sections": place.sections,
                "private_hosts": ("127.0.0.1/32",),
            }
        case _:
            account = {"tenant": graph.TENANT, "client": graph.CLIENT, "secret": graph.SECRET}
            server = {"graph": place.server.graph, "login": place.server.url, "ca_file": place.certificate}
            return {**account, **server, "sites": (f"host:/sites/{place.id}",)}


@pytest.fixture(params=KINDS)
def rehearsal(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres
) -> Iterator[tuple[Rehearsal, Place]]:
    kind = request.param
    with _place(kind, tmp_path) as place:
        rehearsed = Rehearsal(kind, place, tmp_path, postgres)
        yield rehearsed, place
        rehearsed.parser.close()


@contextmanager
def _place(kind: str, folder: Path) -> Iterator[Place]:
    with ExitStack() as running:
        match kind:
            case "git":
                place: Any = repositories.RepositoryPlace(folder / "kb.git")
                place.put(".people.yaml", _people(PEOPLE).encode())
            case "s3":
                place = buckets.BucketPlace(running.enter_context(buckets.server(find_free_port())))
            case "mail-folder":
                (folder / "letters").mkdir()
                place = mailboxes.MailFolderPlace(folder / "letters")
            case "web":
                place = sites.SitePlace(running.enter_context(sites.Site().running()))
            case _:
                place = _library(running, folder)
        yield place


def _library(running: ExitStack, folder: Path) -> clouds.LibraryPlace:
    certificate = write_certificate(folder / "local.pem")
    server = running.enter_context(graph.GraphServer(certificate))
    for person, groups in PEOPLE.items():
        told = {"id": person, "userPrincipalName": person, "mail": None, "accountEnabled": True}
        server.people[person] = told
        for group in groups:
            server.groups.setdefault(group, []).append(person)
    return clouds.LibraryPlace(server, certificate)


def _people(people: dict[str, list[str]]) -> str:
    return "\n".join(f"{person}: [{', '.join(groups)}]" for person, groups in people.items())


def test_what_a_place_holds_reaches_its_readers_alone(rehearsal: tuple[Rehearsal, Any]) -> None:
    house, place = rehearsal
    place.readers("人事", "hr")
    place.readers("総務", "hr", "staff")
    place.write(PAY, "基本給は毎月二十五日に支給する。")
    place.write(LUNCH, "The canteen serves noodles until two.")
    house.open()
    house.ingest_all()
    assert house.state() == {place.uri(PAY): "ready", place.uri(LUNCH): "ready"}
    assert all(one.url for one in house.stored())
    assert [house.found(person, "支給") for person in PEOPLE] == [True, False, False]
    assert [house.found(person, "noodles") for person in PEOPLE] == [True, True, False]

    house.parser.read.clear()
    again = house.open().ingest("place")
    assert (again.added, again.changed, house.parser.read) == (0, 0, [])

    gone = place.uri(PAY)
    place.remove(PAY)
    place.readers("総務", "hr")
    house.open().survey("place", allow_deleting=True)
    assert not house.found("tanaka", "支給")
    assert [stone.uri for stone in house.documents.tombstones()] == [gone]
    assert [house.found(person, "noodles") for person in PEOPLE] == [True, False, False]


def test_an_attachment_is_found_by_whom_the_letter_is_to(tmp_path: Path, postgres: Postgres) -> None:
    place = mailboxes.MailFolderPlace(tmp_path / "letters")
    place.root.mkdir()
    letter = EmailMessage(policy=policy.SMTP)
    letter["From"], letter["To"] = "tanaka@example.com", "客先 <guest@other.example>"
    letter["Subject"] = "見積"
    letter.set_content("添付のとおりです。")
    letter.add_attachment("# 単価\n\n部品PPR-9087は三千円。", subtype="markdown", filename="見積.md")
    (place.root / "1.eml").write_bytes(letter.as_bytes())
    house = Rehearsal("mail-folder", place, tmp_path, postgres, domain="example.com", person="local")
    house.ingest_all()
    assert house.state() == {"1.eml": "ready"}
    assert [house.found(person, "PPR-9087") for person in PEOPLE] == [True, False, False]
    house.parser.close()


def test_a_page_is_opened_where_its_passage_stands(tmp_path: Path, postgres: Postgres) -> None:
    with _place("web", tmp_path) as place:
        assert isinstance(place, sites.SitePlace)
        place.readers("総務", "everyone")
        place.site.html(
            "/総務/lunch", "<h1>Lunch</h1><p>Daily.</p><h2 id=noodle>Noodles</h2><p>Until two.</p>"
        )
        place.site.html("/", '<a href="/総務/lunch">x</a>')
        house = Rehearsal("web", place, tmp_path, postgres)
        house.ingest_all()
        (passage,) = [one for one in house.finds("suzuki", "until two") if "two" in one.original]
        assert (passage.url, passage.place.anchor) == (place.uri(LUNCH), "noodle")
        house.parser.close()


def test_how_a_source_stands_is_told_without_its_secrets(tmp_path: Path, postgres: Postgres) -> None:
    with _place("sharepoint", tmp_path) as place:
        place.readers("総務", "staff")
        place.write(LUNCH, "Noodles until two.")
        house = Rehearsal("sharepoint", place, tmp_path, postgres, longest_wait=0)
        house.ingest_all()
        *_, before = house.documents.outlook()
    assert (before.name, before.kind, before.states) == ("place", "sharepoint", {"ready": 1})
    assert before.listed and before.cursor and not before.last_error
    with pytest.raises(KibanError):
        house.documents.survey("place")
    *_, after = house.open().outlook()
    assert after.last_error and graph.SECRET not in repr(after)
    assert after.listed == before.listed
    house.parser.close()


def test_a_file_that_a_commit_renames_stays_the_document_it_was(tmp_path: Path, postgres: Postgres) -> None:
    with _place("git", tmp_path) as place:
        place.readers("人事", "hr")
        place.readers("総務", "staff")
        place.write(PAY, "基本給は毎月二十五日に支給する。")
        place.write(LUNCH, "The canteen serves noodles until two.")
        house = Rehearsal("git", place, tmp_path, postgres)
        house.ingest_all()
        before = {one.uri: one for one in house.stored()}
        house.parser.read.clear()

        place.move(PAY, "総務/給与規程")
        place.write("総務/lunch menu", "The canteen serves noodles until two.")  # a copy is no rename
        report = house.open().ingest("place")
        after = {one.uri: one for one in house.stored()}
        moved = after[place.uri("総務/給与規程")]
        assert (report.renamed, report.deleted, report.added) == (1, 0, 1)
        assert (moved.id, moved.version) == (before[place.uri(PAY)].id, 1)
        assert after[place.uri(LUNCH)] == before[place.uri(LUNCH)]
        assert house.parser.read == [place.uri("総務/lunch menu")]
        assert moved.url.endswith(quote(moved.uri)) and not house.documents.tombstones()
        assert [house.found(person, "支給") for person in PEOPLE] == [True, True, False]
        house.parser.close()
