from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.backends.sources.graph import GraphSource
from kiban.backends.sources.graph_readers import GraphReaders
from kiban.backends.sources.graph_tokens import GraphAccount
from kiban.domain.access import NOBODY, Principal
from kiban.domain.document import Listed
from kiban.errors import GoneMeanwhile, OversizeFile, PartUnavailable, SourceRefused, Withheld
from kiban.testing.clouds.certificate import write_certificate
from kiban.testing.clouds.graph import CLIENT, SECRET, TENANT, Drive, GraphServer, granted, link

LIBRARY = "b!library"
STAFF = granted("group", "g-staff")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "local.pem")


@pytest.fixture
def graph(certificate: Path) -> Iterator[GraphServer]:
    with GraphServer(certificate, page_size=2) as server:
        server.sites["contoso.example:/sites/HR"] = "site-hr"
        server.drives[LIBRARY] = drive = Drive("site-hr")
        drive.items["root-id"].permissions = [STAFF]
        drive.put("folder", "規程")
        drive.put("inner", "旧", parent="folder")
        drive.put("leave", "休暇規程.txt", "年20日".encode(), "folder")
        drive.put("old", "旧規程.txt", "年10日".encode(), "inner")
        drive.put("hello", "hello.txt", b"Hello")
        for name in ("sato", "tanaka", "suzuki"):
            person = {"id": f"u-{name}", "mail": None, "userPrincipalName": f"{name}@Contoso.example"}
            server.people[f"u-{name}"] = {**person, "accountEnabled": True}
        server.groups = {"g-staff": ["u-sato", "u-tanaka"], "g-hr": ["u-tanaka"], "g-none": []}
        yield server


@pytest.fixture
def drive(graph: GraphServer) -> Drive:
    return graph.drives[LIBRARY]


@pytest.fixture
def source(graph: GraphServer, certificate: Path) -> GraphSource:
    return open_source(graph, certificate)


def open_source(
    server: GraphServer, certificate: Path, *, secret: str = SECRET, **readers: object
) -> GraphSource:
    account = GraphAccount(TENANT, CLIENT, secret, server.graph, server.url, str(certificate))
    sites = ["contoso.example:/sites/HR"]
    return GraphSource("sp", account, GraphReaders("sp", **readers), 1000, sites=sites, longest_wait=2.0)  # type: ignore[arg-type]


def listed(source: GraphSource, cursor: str = "") -> dict[str, Listed]:
    return {one.uri.removeprefix(f"{LIBRARY}/"): one for one in source.listing(cursor).entries}


def first_cursor(source: GraphSource) -> str:
    listing = source.listing()
    assert listing.whole and list(listing.entries)
    return listing.cursor()


def readers(source: GraphSource, id: str) -> set[str]:
    audience = listed(source)[id].audience
    people = {person: Principal(person, groups) for person, groups in source.memberships().items()}
    return {person.partition("@")[0] for person, who in people.items() if who.may_read(audience)}


def test_every_file_of_a_site_is_listed_over_several_pages(source: GraphSource) -> None:
    found = listed(source)
    assert set(found) == {"leave", "old", "hello"}
    assert found["leave"].tag == "c1 休暇規程.txt"
    assert found["leave"].size == len("年20日".encode())


def test_permissions_are_inherited_and_may_be_broken(source: GraphSource, drive: Drive) -> None:
    assert readers(source, "old") == {"sato", "tanaka"}
    drive.share("inner", [granted("group", "g-hr"), granted("user", "u-suzuki")])
    assert readers(source, "old") == {"tanaka", "suzuki"}
    assert readers(source, "leave") == {"sato", "tanaka"}


@pytest.mark.parametrize(
    "permission",
    [
        link("anonymous"),
        link("organization"),
        granted("siteGroup", "5", displayName="HR Members"),
        granted("siteUser", "7", loginName="c:0o.c|federateddirectoryclaimprovider|g-staff_o"),
        granted("application", "app"),
        granted("user", "u-sato", role="an unheard-of role"),
        {**granted("user", "u-sato"), "expirationDateTime": "2020-01-01T00:00:00Z"},
        {**link("anonymous"), "hasPassword": True},
        {"roles": ["read"]},
    ],
)
def test_readers_who_are_not_known_are_nobody(
    source: GraphSource, drive: Drive, permission: dict[str, object]
) -> None:
    drive.share("leave", [permission])
    assert listed(source)["leave"].audience == NOBODY


def test_the_settings_say_who_an_organization_anyone_and_a_site_group_are(
    graph: GraphServer, certificate: Path, drive: Drive
) -> None:
    source = open_source(
        graph,
        certificate,
        organization=frozenset(["everyone"]),
        anonymous=frozenset(["lobby"]),
        site_groups={"HR Members": ["g-hr"]},
    )
    drive.share("leave", [link("organization")])
    drive.share("old", [link("anonymous")])
    drive.share("hello", [granted("siteGroup", "5", displayName="HR Members")])
    found = listed(source)
    assert found["leave"].audience.is_everyone
    assert found["old"].audience.groups == {"lobby"}
    assert readers(source, "hello") == {"tanaka"}


def test_links_for_people_and_sharepoint_claims_are_resolved(source: GraphSource, drive: Drive) -> None:
    drive.share("leave", [link("users", "u-suzuki")])
    assert readers(source, "leave") == {"suzuki"}
    login = "i:0#.f|membership|Suzuki@contoso.example"
    drive.share("leave", [granted("siteUser", "9", loginName=login)])
    assert readers(source, "leave") == {"suzuki"}
    drive.share("leave", [granted("siteUser", "8", loginName="c:0t.c|tenant|g-hr")])
    assert readers(source, "leave") == {"tanaka"}


def test_a_delta_names_what_is_new_changed_and_gone(source: GraphSource, drive: Drive) -> None:
    cursor = first_cursor(source)
    quiet = source.listing(cursor)
    assert not quiet.whole and not list(quiet.entries) and not quiet.gone
    drive.put("new", "新.txt", b"new")
    drive.put("hello", "hello.txt", b"Hello again")
    drive.delete("folder")
    changes = source.listing(quiet.cursor())
    assert {one.uri: one.tag for one in changes.entries} == {
        f"{LIBRARY}/new": "c1 新.txt",
        f"{LIBRARY}/hello": "c2 hello.txt",
    }
    assert {f"{LIBRARY}/leave", f"{LIBRARY}/old"} <= set(changes.gone)
    assert not list(source.listing(changes.cursor()).entries)


def test_all_below_a_folder_with_new_readers_is_listed_again(source: GraphSource, drive: Drive) -> None:
    cursor = first_cursor(source)
    drive.share("folder", [granted("group", "g-hr")])
    changes = source.listing(cursor)
    found = {one.uri: one.audience.groups for one in changes.entries}
    assert found == {f"{LIBRARY}/{id}": {"sp:group:g-hr"} for id in ("leave", "old")}
    assert not list(source.listing(changes.cursor()).entries)


def test_all_below_a_folder_that_moved_to_other_readers_is_listed_again(
    source: GraphSource, drive: Drive
) -> None:
    drive.put("secret", "人事")
    drive.share("secret", [granted("group", "g-hr")])
    cursor = first_cursor(source)
    drive.put("inner", "旧", parent="secret")
    assert {one.uri: one.audience.groups for one in source.listing(cursor).entries} == {
        f"{LIBRARY}/old": {"sp:group:g-hr"}
    }


def test_new_readers_of_the_site_itself_reach_all_that_inherits(source: GraphSource, drive: Drive) -> None:
    drive.share("inner", [granted("group", "g-hr")])
    cursor = first_cursor(source)
    drive.items["root-id"].permissions = [granted("group", "g-hr")]  # no item of the drive changed
    assert {one.uri for one in source.listing(cursor).entries} == {
        f"{LIBRARY}/{id}" for id in ("leave", "hello")
    }


def test_an_expired_delta_is_begun_again_where_graph_says(
    source: GraphSource, drive: Drive, graph: GraphServer
) -> None:
    cursor = first_cursor(source)
    drive.put("new", "新.txt", b"new")
    drive.too_old = drive.count
    again = source.listing(cursor)
    assert again.whole
    assert len(list(again.entries)) == 4
    assert not source.listing(again.cursor()).whole


def test_other_settings_of_readers_or_a_lost_drive_ask_for_everything(
    source: GraphSource, graph: GraphServer, certificate: Path
) -> None:
    cursor = first_cursor(source)
    assert open_source(graph, certificate, organization=frozenset(["everyone"])).listing(cursor).whole
    assert source.listing("nonsense").whole
    graph.drives[LIBRARY].site = "elsewhere"
    assert source.listing(cursor).whole


def test_a_file_is_downloaded_without_showing_our_token(
    source: GraphSource, tmp_path: Path, drive: Drive
) -> None:
    leave = listed(source)["leave"]
    file = source.fetch(leave, tmp_path)
    assert (file.path.name, file.path.read_text("utf-8")) == ("休暇規程.txt", "年20日")
    drive.put("hello", "hello.txt", b"x" * 1001)
    with pytest.raises(OversizeFile):
        source.fetch(listed(source)["hello"], tmp_path)
    drive.delete("leave")
    with pytest.raises(GoneMeanwhile):
        source.fetch(leave, tmp_path)


def test_a_token_that_expires_while_listing_is_renewed(source: GraphSource, graph: GraphServer) -> None:
    graph.token_lasts = 2
    assert len(listed(source)) == 3
    assert graph.requests("oauth2/v2.0/token") > 1
    graph.token_lasts = 0
    with pytest.raises(SourceRefused):
        listed(source)


def test_a_busy_graph_is_waited_for_in_batches_too(source: GraphSource, graph: GraphServer) -> None:
    graph.throttle, graph.busy_in_batches = 2, 3
    assert len(listed(source)) == 3
    graph.throttle, graph.retry_after = 1, "3600"
    with pytest.raises(PartUnavailable):
        listed(source)


def test_a_wrong_secret_is_refused_and_told_to_nobody(graph: GraphServer, certificate: Path) -> None:
    source = open_source(graph, certificate, secret="wrong secret")
    with pytest.raises(SourceRefused) as refused:
        listed(source)
    assert "AADSTS7000215" in str(refused.value)
    assert "wrong secret" not in str(refused.value) + repr(source._tokens.account)


def test_people_who_left_are_in_no_group(source: GraphSource, graph: GraphServer) -> None:
    graph.people["u-tanaka"]["accountEnabled"] = False
    assert set(source.memberships()) == {"sato@contoso.example", "suzuki@contoso.example"}


def test_a_site_that_is_not_there_is_a_refusal(source: GraphSource, graph: GraphServer) -> None:
    cursor = first_cursor(source)
    graph.sites.clear()
    with pytest.raises(SourceRefused):
        listed(source)
    with pytest.raises(SourceRefused):
        source.listing(cursor)


def test_a_file_that_is_not_given_out_fails_alone(
    source: GraphSource, graph: GraphServer, tmp_path: Path
) -> None:
    graph.break_on["/leave/content"] = 403
    with pytest.raises(Withheld):
        source.fetch(listed(source)["leave"], tmp_path)
