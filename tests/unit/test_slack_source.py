from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kiban.backends.sources.slack import SlackSource
from kiban.backends.sources.slack_export import SlackExportSource
from kiban.backends.sources.slack_text import mrkdwn_html
from kiban.domain.access import Principal
from kiban.domain.document import Listed
from kiban.errors import GoneMeanwhile, PartUnavailable, SourceRefused
from kiban.testing.clouds.slack import TOKEN, Channel, SlackServer, names

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
Source = SlackSource | SlackExportSource


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer(page_size=2) as server:
        server.user("U1", "sato")
        server.user("U2", "tanaka")
        server.user("U3", "guest", is_restricted=True)
        server.user("U4", "left", deleted=True)
        server.user("B1", "bot", is_bot=True)
        server.channels["C1"] = general = Channel("C1", "general", members=["U1", "U3"])
        server.channels["G1"] = secret = Channel("G1", "人事", private=True, members=["U2"])
        server.channels["D1"] = Channel("D1", "", direct=True, members=["U1", "U2"])
        server.channels["C2"] = Channel("C2", "elsewhere", seen=False)
        general.say(NOW - 30 * DAY, "U1", "経費の締切は<!date^1^{date}|25日>です。")
        general.say(NOW - 3 * DAY, "U1", "Where is the *handbook*?")
        general.say(
            NOW - 2 * DAY,
            "U2",
            "<@U1> see <https://example.com/a?b=1&amp;c=2|the wiki>",
            thread=NOW - 3 * DAY,
        )
        general.say(NOW, "U1", "おはよう")
        general.say(NOW + 1, "U4", "has joined the channel", subtype="channel_join")
        secret.say(NOW, "U2", "査定の話")
        server.channels["D1"].say(NOW, "U1", "内緒")
        yield server


def open_source(server: SlackServer, token: str = TOKEN, **options: object) -> SlackSource:
    clock = options.pop("clock", lambda: NOW + 60)
    url = f"{server.url}/api"
    return SlackSource("slack", token, 10_000, longest_wait=1.0, url=url, clock=clock, **options)  # type: ignore[arg-type]


@pytest.fixture
def source(slack: SlackServer) -> SlackSource:
    return open_source(slack)


def open_export(server: SlackServer, folder: Path, **options: object) -> SlackExportSource:
    return SlackExportSource("slack", server.export(folder / "export.zip"), 10_000, **options)  # type: ignore[arg-type]


def listed(source: Source, cursor: str = "") -> dict[str, Listed]:
    return {one.uri: one for one in source.listing(cursor).entries}


def text(source: Source, uri: str, folder: Path) -> str:
    return source.fetch(listed(source)[uri], folder).path.read_text("utf-8")


def readers(source: Source, uri: str) -> set[str]:
    audience = listed(source)[uri].audience
    people = {person: Principal(person, groups) for person, groups in source.memberships().items()}
    return names(person for person, who in people.items() if who.may_read(audience))


@pytest.fixture(params=["api", "export"])
def either(request: pytest.FixtureRequest, slack: SlackServer, tmp_path: Path) -> Source:
    return open_source(slack) if request.param == "api" else open_export(slack, tmp_path)


def test_every_day_of_a_conversation_is_a_document(either: Source) -> None:
    assert set(listed(either)) >= {"C1/2026-10-25", "C1/2026-11-21", "C1/2026-11-24", "G1/2026-11-24"}
    assert not any(uri.startswith("D1") for uri in listed(either))


def test_members_read_a_private_channel_and_all_but_guests_a_public_one(either: Source) -> None:
    assert readers(either, "G1/2026-11-24") == {"tanaka"}
    assert readers(either, "C1/2026-11-24") == {"sato", "tanaka", "guest"}  # a guest who is in the channel
    assert set(either.memberships()) == {f"{name}@example.com" for name in ("sato", "tanaka", "guest")}


def test_a_guest_who_is_not_in_a_public_channel_does_not_read_it(slack: SlackServer) -> None:
    slack.channels["C1"].members.remove("U3")
    assert readers(open_source(slack), "C1/2026-11-24") == {"sato", "tanaka"}


def test_a_thread_stands_under_its_first_message_with_names_for_ids(either: Source, tmp_path: Path) -> None:
    page = text(either, "C1/2026-11-21", tmp_path)
    assert "<title>#general 2026-11-21</title>" in page
    assert "<p>12:00 sato: Where is the handbook?</p>" in page
    assert "<ul><li>12:00 tanaka: @sato see the wiki (https://example.com/a?b=1&amp;c=2)</li></ul>" in page
    assert "25日" in text(either, "C1/2026-10-25", tmp_path)
    assert "joined" not in text(either, "C1/2026-11-24", tmp_path)


def test_only_the_channels_of_the_settings_are_asked_for(slack: SlackServer, tmp_path: Path) -> None:
    source = open_source(slack, channels=["人事"])
    assert set(listed(source)) == {"G1/2026-11-24"}
    assert slack.requests("conversations.history") == 1
    source.memberships()
    assert slack.requests("conversations.members") == 1
    assert set(listed(open_export(slack, tmp_path, channels=["G1"]))) == {"G1/2026-11-24"}


def test_direct_messages_are_for_those_in_them_and_only_if_wished(slack: SlackServer, tmp_path: Path) -> None:
    for source in (
        open_source(slack, direct_messages=True),
        open_export(slack, tmp_path, direct_messages=True),
    ):
        assert readers(source, "D1/2026-11-24") == {"sato", "tanaka"}


def test_days_begin_where_the_settings_say(slack: SlackServer, tmp_path: Path) -> None:
    slack.channels["C1"].say(NOW + 4 * 3600, "U1", "日本ではもう明日")
    found = listed(open_source(slack, zone=ZoneInfo("Asia/Tokyo"), clock=lambda: NOW + 5 * 3600))
    assert "C1/2026-11-25" in found
    assert min(listed(open_source(slack, since=date(2026, 11, 1)))) == "C1/2026-11-21"


def test_a_delta_sees_what_was_said_edited_and_deleted_lately(slack: SlackServer) -> None:
    source, general = open_source(slack), slack.channels["C1"]
    first = source.listing()
    before = {one.uri: one.tag for one in first.entries}
    second = source.listing(first.cursor())
    assert not second.whole
    assert {one.uri: one.tag for one in second.entries}.items() <= before.items()
    general.say(NOW + 30, "U2", "new")
    general.say(NOW + 31, "U1", "another reply", thread=NOW - 3 * DAY)
    del slack.channels["G1"].messages[f"{NOW:.6f}"]
    third = source.listing(second.cursor())
    after = {one.uri: one.tag for one in third.entries}
    assert {uri for uri in after if after[uri] != before[uri]} == {"C1/2026-11-24", "C1/2026-11-21"}
    assert "G1/2026-11-24" in third.gone


def test_an_edited_reply_of_today_is_another_document(slack: SlackServer) -> None:
    source, general = open_source(slack), slack.channels["C1"]
    reply = general.say(NOW + 2, "U2", "reply", thread=NOW)
    first = source.listing()
    before = {one.uri: one.tag for one in first.entries}
    general.edit(reply, "another text", NOW + 5)
    after = {one.uri: one.tag for one in source.listing(first.cursor()).entries}
    assert after["C1/2026-11-24"] != before["C1/2026-11-24"]
    assert after["C1/2026-11-21"] == before["C1/2026-11-21"]


def test_a_channel_that_became_private_or_is_lost_asks_for_everything(slack: SlackServer) -> None:
    source = open_source(slack)
    first = source.listing()
    assert list(first.entries)
    slack.channels["C1"].private = True
    again = source.listing(first.cursor())
    assert again.whole
    assert readers(source, "C1/2026-10-25") == {"sato", "guest"}
    slack.channels["C1"].seen = False
    assert source.listing(again.cursor()).whole
    assert source.listing("nonsense").whole


def test_a_new_channel_is_listed_from_its_beginning(slack: SlackServer) -> None:
    source = open_source(slack)
    first = source.listing()
    assert list(first.entries)
    slack.channels["C2"].seen = True
    slack.channels["C2"].say(NOW - 100 * DAY, "U1", "long ago")
    delta = source.listing(first.cursor())
    assert not delta.whole
    assert any(one.uri.startswith("C2/") for one in delta.entries)


def test_a_day_of_which_nothing_is_left_is_gone(slack: SlackServer, tmp_path: Path) -> None:
    source = open_source(slack)
    day = listed(source)["G1/2026-11-24"]
    slack.channels["G1"].messages.clear()
    with pytest.raises(GoneMeanwhile):
        source.fetch(day, tmp_path)


def test_a_busy_slack_is_waited_for_and_a_wrong_token_refused(slack: SlackServer) -> None:
    slack.throttle = 2
    assert len(listed(open_source(slack))) == 4
    slack.throttle, slack.retry_after = 1, "3600"
    with pytest.raises(PartUnavailable):
        listed(open_source(slack))
    slack.throttle = 0
    with pytest.raises(SourceRefused) as refused:
        listed(open_source(slack, token="xoxb-wrong"))
    assert "invalid_auth" in str(refused.value) and "xoxb" not in str(refused.value)
    slack.error = "missing_scope"
    with pytest.raises(SourceRefused):
        listed(open_source(slack))


def test_an_export_is_listed_again_only_when_another_one_lies_there(
    slack: SlackServer, tmp_path: Path
) -> None:
    source = open_export(slack, tmp_path)
    first = source.listing()
    assert first.whole and list(first.entries)
    unchanged = source.listing(first.cursor())
    assert not unchanged.whole and not list(unchanged.entries)
    slack.channels["C1"].say(NOW + 9, "U1", "one more message")
    slack.export(tmp_path / "export.zip")
    assert source.listing(first.cursor()).whole


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with pytest.raises(SourceRefused):
        SlackExportSource("slack", path, 1000).listing()
    path.write_bytes(b"not a zip")
    with pytest.raises(SourceRefused):
        listed(SlackExportSource("slack", path, 1000))
    with zipfile.ZipFile(path, "w") as export:
        export.writestr("channels.json", "{broken")
    with pytest.raises(SourceRefused):
        listed(SlackExportSource("slack", path, 1000))


@pytest.mark.parametrize(
    ("mrkdwn", "shown"),
    [
        ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
        ("*bold* _italic_ ~struck~ `code`", "bold italic struck code"),
        ("snake_case_name and 2*3*4", "snake_case_name and 2*3*4"),
        ("<#C1|old-name> <#C9|unknown> <!here> <!subteam^S1|@hr>", "#general #unknown @here @hr"),
        ("<mailto:a@example.com|a@example.com>", "mailto:a@example.com"),
        ("one\ntwo", "one<br>two"),
        ("```if a &lt; b:\n  x```", "<pre>if a &lt; b:\n  x</pre>"),
        ("<script>alert(1)</script>", "scriptalert(1)/script"),
    ],
)
def test_mrkdwn_becomes_what_a_person_saw(mrkdwn: str, shown: str) -> None:
    assert mrkdwn_html(mrkdwn, {}, {"C1": "general"}) == shown


def test_a_channel_lost_while_listing_is_not_an_empty_one(slack: SlackServer) -> None:
    entries = iter(open_source(slack).listing().entries)
    next(entries)
    del slack.channels["G1"]
    with pytest.raises(SourceRefused):
        list(entries)
