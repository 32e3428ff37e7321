from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.backends.sources.drive import DriveSource
from kiban.backends.sources.drive_readers import DriveReaders
from kiban.backends.sources.drive_tokens import DriveAccount
from kiban.domain.access import NOBODY, Principal
from kiban.domain.document import Listed
from kiban.errors import GoneMeanwhile, OversizeFile, PartUnavailable, SourceRefused, Withheld
from kiban.testing.clouds.drive import DOCUMENT, FOLDER, DriveServer, granted

STAFF, SUZUKI = granted("group", "staff@example.com", "organizer"), granted("user", "suzuki@example.com")
GROUPS = {
    "staff@example.com": ["sato@example.com", "Tanaka@example.com"],
    "hr@example.com": ["tanaka@example.com", "suzuki@example.com"],
}


@pytest.fixture
def google() -> Iterator[DriveServer]:
    with DriveServer(page_size=2) as server:
        server.drives["HR"] = [STAFF]
        server.put("folder", "規程", "HR", mime=FOLDER)
        server.put("leave", "休暇規程.txt", "folder", "年20日".encode())
        server.put("old", "旧規程.txt", "folder", b"old")
        server.put("doc", "就業規則", "HR", "本文".encode(), DOCUMENT)
        server.put("form", "アンケート", "HR", mime="application/vnd.google-apps.form")
        server.put("mine", "My things", "root", mime=FOLDER)
        server.put("note", "note.txt", "mine", b"note")
        server.share("mine", granted("user", "sato@example.com", "owner"))
        server.groups, server.people = dict(GROUPS), {"sato@example.com": False, "Suzuki@example.com": True}
        yield server


@pytest.fixture
def source(google: DriveServer) -> DriveSource:
    return open_source(google)


def open_source(
    server: DriveServer, *, key: str = "", directory: bool = False, **readers: object
) -> DriveSource:
    account = DriveAccount.from_key(
        key or server.key, drive_url=server.url, directory_url=server.url, directory=directory
    )
    chosen = DriveReaders("drive", **readers)  # type: ignore[arg-type]
    return DriveSource(
        "drive", account, chosen, 10_000, drives=["HR"], folders=["mine"], groups=GROUPS, longest_wait=4.0
    )


def listed(source: DriveSource, cursor: str = "") -> dict[str, Listed]:
    return {one.uri: one for one in source.listing(cursor).entries}


def first_cursor(source: DriveSource) -> str:
    listing = source.listing()
    assert listing.whole and list(listing.entries)
    return listing.cursor()


def readers(source: DriveSource, id: str) -> set[str]:
    audience = listed(source)[id].audience
    people = {person: Principal(person, groups) for person, groups in source.memberships().items()}
    return {person.partition("@")[0] for person, who in people.items() if who.may_read(audience)}


def test_shared_drives_and_folders_are_listed_without_what_has_no_content(source: DriveSource) -> None:
    found = listed(source)
    assert set(found) == {"leave", "old", "doc", "note"}
    assert found["leave"].url == "https://drive.example/leave"


def test_the_members_of_a_shared_drive_read_it_and_leaving_needs_no_listing(
    source: DriveSource, google: DriveServer
) -> None:
    audience = listed(source)["leave"].audience
    assert audience.groups == {"drive:drive:HR"}
    assert readers(source, "leave") == {"sato", "tanaka"}
    google.drives["HR"] = [granted("group", "hr@example.com")]
    groups = source.memberships()
    assert not Principal("sato", groups["sato@example.com"]).may_read(audience)
    assert Principal("suzuki", groups["suzuki@example.com"]).may_read(audience)


def test_permissions_beside_those_of_the_drive_are_inherited_too(
    source: DriveSource, google: DriveServer
) -> None:
    google.share("folder", SUZUKI)
    assert readers(source, "leave") == {"sato", "tanaka", "suzuki"}
    assert readers(source, "doc") == {"sato", "tanaka"}
    assert readers(source, "note") == {"sato"}


def test_a_folder_of_limited_access_is_not_for_all_of_the_drive(
    source: DriveSource, google: DriveServer
) -> None:
    google.share("folder", {**STAFF, "view": "metadata"}, SUZUKI)
    assert readers(source, "leave") == {"suzuki"}


@pytest.mark.parametrize(
    "permission",
    [
        granted("anyone"),
        granted("domain", "example.com"),
        granted("user", "sato@example.com", role="an unheard-of role"),
        granted("user", "sato@example.com", deleted=True),
        granted("user", "sato@example.com", expirationTime="2020-01-01T00:00:00Z"),
        granted("alien", "sato@example.com"),
    ],
)
def test_readers_who_are_not_known_are_nobody(
    source: DriveSource, google: DriveServer, permission: dict[str, object]
) -> None:
    google.share("mine", permission)
    assert listed(source)["note"].audience == NOBODY


def test_the_settings_say_who_a_domain_and_anyone_are(google: DriveServer) -> None:
    source = open_source(
        google, domains={"example.com": frozenset(["everyone"])}, anyone=frozenset(["lobby"])
    )
    google.share("mine", granted("domain", "Example.com"))
    google.share("note", granted("anyone"))
    assert listed(source)["note"].audience.groups == {"everyone", "lobby"}


def test_a_file_that_does_not_tell_its_readers_is_for_nobody(
    source: DriveSource, google: DriveServer
) -> None:
    google.break_on["/files/doc/permissions"] = 403
    found = listed(source)
    assert found["doc"].audience == NOBODY
    assert found["leave"].audience != NOBODY


def test_changes_name_what_is_new_changed_and_gone(source: DriveSource, google: DriveServer) -> None:
    quiet = source.listing(first_cursor(source))
    assert not quiet.whole and not list(quiet.entries) and not quiet.gone
    google.put("new", "新.txt", "folder", b"new")
    google.put("leave", "休暇規程.txt", "folder", "年25日".encode())
    google.trash("old")
    google.delete("doc")
    google.put("elsewhere", "private.txt", "root", b"not in a chosen folder")
    changes = source.listing(quiet.cursor())
    assert {one.uri for one in changes.entries} == {"new", "leave"}
    assert set(changes.gone) == {"old", "doc", "elsewhere"}
    assert not list(source.listing(changes.cursor()).entries)


def test_all_below_a_folder_with_new_readers_is_listed_again(
    source: DriveSource, google: DriveServer
) -> None:
    cursor = first_cursor(source)
    google.share("folder", SUZUKI)
    changes = source.listing(cursor)
    assert not changes.whole
    found = {one.uri: one.audience.groups for one in changes.entries}
    assert found == {id: {"drive:drive:HR", "drive:user:suzuki@example.com"} for id in ("leave", "old")}


def test_a_folder_that_goes_takes_along_what_lies_below(source: DriveSource, google: DriveServer) -> None:
    cursor = first_cursor(source)
    google.trash("folder")
    changes = source.listing(cursor)
    assert changes.whole
    assert {one.uri for one in changes.entries} == {"doc", "note"}


def test_a_token_that_is_no_longer_known_asks_for_everything(
    source: DriveSource, google: DriveServer
) -> None:
    cursor = first_cursor(source)
    google.forgotten = len(google.log) + 1
    assert source.listing(cursor).whole
    assert source.listing("nonsense").whole
    assert open_source(google, anyone=frozenset(["everyone"])).listing(cursor).whole


def test_files_are_downloaded_and_googles_own_kinds_exported(source: DriveSource, tmp_path: Path) -> None:
    found = listed(source)
    file = source.fetch(found["leave"], tmp_path)
    assert (file.path.name, file.path.read_text("utf-8")) == ("休暇規程.txt", "年20日")
    exported = source.fetch(found["doc"], tmp_path)
    assert exported.path.name == "就業規則.docx"
    assert exported.path.read_text("utf-8").endswith("wordprocessingml.document\n本文")


def test_what_is_too_large_to_export_or_gone_fails_alone(
    source: DriveSource, google: DriveServer, tmp_path: Path
) -> None:
    google.put("doc", "就業規則", "HR", b"x" * 2_000, DOCUMENT)
    found = listed(source)
    with pytest.raises(OversizeFile):
        source.fetch(found["doc"], tmp_path)
    google.delete("leave")
    with pytest.raises(GoneMeanwhile):
        source.fetch(found["leave"], tmp_path)


@pytest.mark.parametrize("by_403", [True, False])
def test_a_busy_google_is_waited_for(source: DriveSource, google: DriveServer, by_403: bool) -> None:
    google.throttle, google.throttle_by_403 = 1, by_403
    assert len(listed(source)) == 4
    google.throttle, google.throttle_by_403, google.retry_after = 1, False, "3600"
    with pytest.raises(PartUnavailable):
        listed(source)


def test_a_token_that_has_had_its_hour_is_renewed(source: DriveSource, google: DriveServer) -> None:
    entries = iter(source.listing().entries)
    next(entries)
    google.tokens.clear()
    assert len(list(entries)) == 3
    assert google.requests("/token") == 2


def test_a_key_that_signs_nothing_valid_is_refused(google: DriveServer) -> None:
    with DriveServer(owner="a stranger") as stranger:
        key = stranger.key.replace(stranger.url, google.url)
        with pytest.raises(SourceRefused) as refused:
            listed(open_source(google, key=key))
    assert "PRIVATE KEY" not in str(refused.value)
    with pytest.raises(SourceRefused):
        open_source(google, key="{not json")


def test_groups_come_from_the_directory_where_it_may_be_asked(google: DriveServer) -> None:
    memberships = open_source(google, directory=True).memberships()
    assert set(memberships) == {"sato@example.com"}  # suzuki is suspended
    assert "drive:group:staff@example.com" in memberships["sato@example.com"]


def test_a_shared_drive_that_is_not_there_is_a_refusal(source: DriveSource, google: DriveServer) -> None:
    google.break_on["/changes/startPageToken"] = 404
    with pytest.raises(SourceRefused):
        listed(source)


def test_a_file_that_is_not_given_out_fails_alone(
    source: DriveSource, google: DriveServer, tmp_path: Path
) -> None:
    found = listed(source)
    google.withheld.add("leave")
    with pytest.raises(Withheld):
        source.fetch(found["leave"], tmp_path)
