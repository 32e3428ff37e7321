from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.backends.sources.confluence import ConfluenceSource
from kiban.backends.sources.confluence_client import ConfluenceAccount
from kiban.backends.sources.confluence_storage import page_html
from kiban.domain.access import NOBODY, Principal
from kiban.domain.document import Listed
from kiban.errors import GoneMeanwhile, OversizeFile, PartUnavailable, SourceRefused, Withheld
from kiban.testing.clouds.confluence import TOKEN, USER, ConfluenceServer, SpaceState, Thing

LONG_AGO = time.time() - 86_400


@pytest.fixture(params=["cloud", "data center"])
def confluence(request: pytest.FixtureRequest) -> Iterator[ConfluenceServer]:
    with ConfluenceServer(cloud=request.param == "cloud", page_size=2) as server:
        server.spaces["HR"] = SpaceState("人事", [("group", "staff"), ("user", "boss")])
        server.spaces["ENG"] = SpaceState("Engineering", [("group", "engineers")])
        server.groups = {
            "staff": ["sato", "tanaka"],
            "engineers": ["sato"],
            "人事, 給与": ["tanaka", "suzuki"],
        }
        server.groups["leads"] = ["boss", "sato"]
        server.emails = {"sato": "Sato@example.com", "tanaka": "tanaka@example.com"}
        for number, (title, parent) in enumerate([("就業規則", ""), ("給与", "1"), ("賞与", "2")], start=1):
            server.put(
                Thing(str(number), "page", "HR", title, f"<p>{title}の本文</p>", parent, modified=LONG_AGO)
            )
        server.put(Thing("4", "blogpost", "ENG", "Release", "<p>We shipped.</p>", modified=LONG_AGO))
        server.put(Thing("att5", "attachment", "HR", "明細.csv", "a,b\n1,2\n", "3", modified=LONG_AGO))
        yield server


@pytest.fixture
def source(confluence: ConfluenceServer) -> ConfluenceSource:
    return open_source(confluence)


def open_source(server: ConfluenceServer, token: str = TOKEN, **options: object) -> ConfluenceSource:
    account = ConfluenceAccount(server.url + server.context, server.cloud, USER, token)
    return ConfluenceSource("wiki", account, ["HR", "ENG"], 10_000, longest_wait=1.0, **options)  # type: ignore[arg-type]


def listed(source: ConfluenceSource, cursor: str = "") -> dict[str, Listed]:
    return {one.identity: one for one in source.listing(cursor).entries}


def readers(source: ConfluenceSource, id: str) -> set[str]:
    """Who of all people may read a content, memberships and audience together."""
    audience = listed(source)[id].audience
    people = {person: Principal(person, groups) for person, groups in source.memberships().items()}
    return {person.partition("@")[0] for person, who in people.items() if who.may_read(audience)}


def test_everything_is_listed_over_several_pages(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    found = listed(source)
    assert set(found) == {"1", "2", "3", "4", "att5"}
    assert found["1"].uri == "HR/1.html"
    assert found["1"].url == f"{confluence.url}{confluence.context}/spaces/HR/pages/1"
    assert found["att5"].uri == "HR/att5/明細.csv"


def test_the_readers_of_a_space_read_what_has_no_restriction(source: ConfluenceSource) -> None:
    assert readers(source, "1") == {"sato", "tanaka", "boss"}
    assert readers(source, "4") == {"sato"}


def test_a_restriction_narrows_the_readers_of_the_space_and_never_widens_them(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    confluence.restrict("1", groups=["人事, 給与"])
    assert readers(source, "1") == {"tanaka"}  # suzuki may not read the space


def test_restrictions_of_every_ancestor_hold(source: ConfluenceSource, confluence: ConfluenceServer) -> None:
    confluence.restrict("1", groups=["staff"])
    confluence.restrict("3", users=["sato", "boss"])
    assert readers(source, "2") == {"sato", "tanaka"}
    assert readers(source, "3") == {"sato"}
    assert readers(source, "att5") == {"sato"}


def test_a_restriction_to_one_person_is_for_that_person(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    confluence.restrict("2", users=["tanaka"])
    assert readers(source, "2") == readers(source, "3") == {"tanaka"}


def test_two_groups_on_the_way_down_leave_those_in_both(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    confluence.restrict("1", groups=["staff"])
    confluence.restrict("2", groups=["leads"])
    assert readers(source, "3") == {"sato"}


def test_leaving_a_group_needs_no_listing(source: ConfluenceSource, confluence: ConfluenceServer) -> None:
    confluence.restrict("1", groups=["staff"])
    audience = listed(source)["1"].audience
    confluence.groups["staff"].remove("tanaka")
    groups = source.memberships()
    assert not Principal("tanaka", groups["tanaka@example.com"]).may_read(audience)
    assert Principal("sato", groups["sato@example.com"]).may_read(audience)


def test_an_anonymous_space_is_read_by_whom_the_settings_name(confluence: ConfluenceServer) -> None:
    confluence.spaces["ENG"].readers.append(("anonymous", ""))
    assert "everyone" not in listed(open_source(confluence))["4"].audience.groups
    opened = open_source(confluence, anonymous_readers=frozenset(["everyone"]))
    assert listed(opened)["4"].audience.is_everyone
    confluence.restrict("4", users=["boss"])
    assert not listed(opened)["4"].audience.is_everyone


def test_an_ancestor_that_we_may_not_see_means_nobody(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    thing = confluence.things.pop("att5")
    confluence.put(Thing("att5", "attachment", "HR", thing.title, thing.body, "unseen"))
    assert listed(source)["att5"].audience == NOBODY


def test_a_delta_lists_what_was_modified_lately_with_the_readers_of_its_ancestors(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    confluence.restrict("1", groups=["staff"])
    first = source.listing()
    assert len(list(first.entries)) == 5
    assert not list(source.listing(first.cursor()).entries)
    confluence.put(Thing("3", "page", "HR", "賞与", "<p>新しい本文</p>", "2"))
    second = source.listing(first.cursor())
    found = {one.identity: one for one in second.entries}
    assert not second.whole
    assert {id: one.tag for id, one in found.items()} == {"3": "2"}
    assert found["3"].audience.groups == {"wiki:HR:group:staff"}


def test_the_listing_is_whole_again_after_a_while(confluence: ConfluenceServer) -> None:
    now = [time.time()]
    source = open_source(confluence, whole_every=900.0, clock=lambda: now[0])
    first = source.listing()
    assert first.whole and list(first.entries)
    now[0] += 600
    second = source.listing(first.cursor())
    assert not second.whole and not list(second.entries)
    now[0] += 600
    assert source.listing(second.cursor()).whole
    assert source.listing("nonsense").whole


def test_a_page_is_fetched_with_its_title_space_and_labels(
    source: ConfluenceSource, confluence: ConfluenceServer, tmp_path: Path
) -> None:
    confluence.put(Thing("9", "page", "HR", "旅費/規程", "<p>日当</p>", labels=("規程", "経費")))
    file = source.fetch(listed(source)["9"], tmp_path)
    text = file.path.read_text("utf-8")
    assert all(part in text for part in ("<title>旅費/規程</title>", "人事", "規程, 経費", "<p>日当</p>"))
    assert (file.uri, file.size) == ("HR/9.html", len(text.encode()))


def test_an_attachment_is_fetched_as_it_is_unless_too_large(
    source: ConfluenceSource, confluence: ConfluenceServer, tmp_path: Path
) -> None:
    file = source.fetch(listed(source)["att5"], tmp_path)
    assert (file.path.name, file.path.read_bytes()) == ("明細.csv", b"a,b\n1,2\n")
    confluence.put(Thing("att5", "attachment", "HR", "明細.csv", "x" * 10_001, "3"))
    with pytest.raises(OversizeFile):
        source.fetch(listed(source)["att5"], tmp_path)


def test_what_went_between_listing_and_fetching_is_gone(
    source: ConfluenceSource, confluence: ConfluenceServer, tmp_path: Path
) -> None:
    page = listed(source)["2"]
    del confluence.things["2"]
    with pytest.raises(GoneMeanwhile):
        source.fetch(page, tmp_path)


def test_a_busy_server_is_waited_for_and_one_too_busy_is_left_alone(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    confluence.throttle = 3
    assert len(listed(source)) == 5
    confluence.throttle, confluence.retry_after = 1, "3600"
    with pytest.raises(PartUnavailable):
        listed(source)


def test_a_wrong_token_is_refused_and_not_repeated(confluence: ConfluenceServer) -> None:
    with pytest.raises(SourceRefused) as refused:
        listed(open_source(confluence, token="wrong secret"))
    assert "wrong secret" not in str(refused.value)
    assert confluence.requests() == 1


def test_storage_format_becomes_plain_html_without_what_macros_include() -> None:
    storage = (
        '<ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page '
        'ri:content-title="役員報酬"/></ac:link></ac:parameter></ac:structured-macro>'
        '<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[if a < b]]></ac:plain-text-body>'
        '</ac:structured-macro><p onclick="x()">A &amp; B</p>'
        '<ac:link><ri:page ri:content-title="規程"/></ac:link>'
    )
    page = page_html("T", "S", [], storage)
    assert "役員報酬" not in page
    assert "<pre>if a &lt; b</pre>" in page
    assert "<p>A &amp; B</p>規程" in page


def test_a_space_that_is_not_there_is_a_refusal_and_not_an_empty_place(
    source: ConfluenceSource, confluence: ConfluenceServer
) -> None:
    del confluence.spaces["ENG"]
    del confluence.things["4"]
    with pytest.raises(SourceRefused):
        listed(source)


def test_an_attachment_that_is_not_given_out_fails_alone(
    source: ConfluenceSource, confluence: ConfluenceServer, tmp_path: Path
) -> None:
    confluence.break_on["/download/"] = 403
    with pytest.raises(Withheld):
        source.fetch(listed(source)["att5"], tmp_path)
