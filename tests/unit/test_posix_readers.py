"""Who may read a file by owner, group and mode: never anybody whom the system would not let."""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.backends.sources.folder import FolderSource
from kiban.backends.sources.posix_readers import PosixReaders

PEOPLE = {10: "tanaka", 11: "sato", 65534: "nobody"}
GROUPS = {20: "hr", 21: "sales", 30: "everyone", 31: "a,b", 65534: "nogroup"}
MEMBERS = {"hr": ["tanaka"], "sales": ["sato", "tanaka"], "everyone": [], "a,b": [], "nogroup": []}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the system the people and groups above, and no others."""
    users = [pwd.struct_passwd((name, "x", uid, 20, "", "/", "")) for uid, name in PEOPLE.items()]
    groups = [grp.struct_group((name, "x", gid, MEMBERS[name])) for gid, name in GROUPS.items()]
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(grp, "getgrall", lambda: groups)
    monkeypatch.setattr(pwd, "getpwuid", {user.pw_uid: user for user in users}.__getitem__)
    monkeypatch.setattr(grp, "getgrgid", {group.gr_gid: group for group in groups}.__getitem__)
    PosixReaders("files").people()  # forgets the names it knew
    yield
    monkeypatch.undo()
    PosixReaders("files").people()


def owned(mode: int, uid: int = 10, gid: int = 20) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, uid, gid, 1, 0, 0, 0))


def readers(path: Path, file: os.stat_result, *way: os.stat_result) -> set[str]:
    return set(PosixReaders("files", way=way).of(path, file).groups)


OWNER = "files:person:tanaka"


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    ("file", "way", "allowed"),
    [
        (owned(0o644), [owned(0o755)], {"everyone", "hr", OWNER}),
        (owned(0o640), [owned(0o755)], {"hr", OWNER}),
        (owned(0o600), [owned(0o755)], {OWNER}),
        (owned(0o000), [owned(0o755)], set()),
        (owned(0o604), [owned(0o755)], {OWNER}),  # others may, but the group may not
        (owned(0o644), [owned(0o750)], {"hr", OWNER}),  # the way is open to the group alone
        (owned(0o644), [owned(0o700)], {OWNER}),
        (owned(0o644), [owned(0o755), owned(0o644)], set()),  # a folder that may be listed, but not passed
        (owned(0o644), [owned(0o750, 11, 21)], set()),  # who passes is not known to be who reads
        (owned(0o640), [owned(0o705, 11, 21)], set()),  # members of both groups would not pass
        (owned(0o644, 11, 21), [owned(0o755)], {"everyone", "sales", "files:person:sato"}),
        (owned(0o640, 12, 22), [owned(0o755)], set()),  # neither is known
        (owned(0o640, 65534, 65534), [owned(0o755)], set()),
        (owned(0o640, 10, 30), [owned(0o755)], {OWNER}),  # a group that is called as our own word
        (owned(0o640, 10, 31), [owned(0o755)], {OWNER}),
    ],
)
def test_readers_are_whom_the_system_surely_lets_read(
    tmp_path: Path, file: os.stat_result, way: list[os.stat_result], allowed: set[str]
) -> None:
    assert readers(tmp_path, file, *way) == allowed


@pytest.mark.usefixtures("system")
def test_nobody_reads_here_whom_the_system_would_not_let(tmp_path: Path) -> None:
    """Many modes of a file and a folder, against the rule of POSIX: the first class that fits decides."""
    known = PosixReaders("files").people()
    ids = {"tanaka": (10, {20, 21}), "sato": (11, {20, 21})}  # primary group 20
    for file_mode, folder_mode in itertools.product(range(0, 0o1000, 0o4), range(0o1, 0o1000, 0o11)):
        file, folder = owned(file_mode), owned(folder_mode, 11, 21)
        audience = PosixReaders("files", way=(folder,)).of(tmp_path, file)
        for person, (uid, gids) in ids.items():
            if audience.groups & (known[person] | {"everyone"}):
                assert _lets(file, uid, gids, 4) and _lets(folder, uid, gids, 1), (file_mode, folder_mode)


def _lets(status: os.stat_result, uid: int, gids: set[int], bit: int) -> bool:
    if status.st_uid == uid:
        return True  # who owns a file can let themselves in
    return bool(status.st_mode >> (3 if status.st_gid in gids else 0) & bit)


@pytest.mark.usefixtures("system")
def test_people_are_in_the_groups_of_the_system(tmp_path: Path) -> None:
    assert PosixReaders("files").people() == {
        "tanaka": {"files:person:tanaka", "hr", "sales"},
        "sato": {"files:person:sato", "hr", "sales"},
    }
    assert "sato@example.com" in PosixReaders("files", "example.com").people()


def test_a_file_with_an_access_list_is_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("x")
    source = FolderSource("files", tmp_path, 100, PosixReaders("files"))
    tmp_path.chmod(0o755)
    (tmp_path / "a.md").chmod(0o644)
    (listed,) = source.listing().entries
    assert listed.audience.is_everyone
    monkeypatch.setattr(os, "listxattr", lambda path, **more: ["system.posix_acl_access"])
    (listed,) = source.listing().entries
    assert not listed.audience.groups


def test_yaml_files_say_nothing_where_modes_do(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "a.md").chmod(0o600)
    (tmp_path / ".readers.yaml").write_text("readers: [everyone]")
    (tmp_path / ".people.yaml").write_text("mallory: [hr]")
    source = FolderSource("files", tmp_path, 100, PosixReaders("files"))
    (listed,) = source.listing().entries
    assert not listed.audience.is_everyone
    assert "mallory" not in source.memberships()


def test_a_mode_that_changes_is_noticed_without_listing(tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "a.md").write_text("x")
    source, told = FolderSource("files", tmp_path, 100, PosixReaders("files")), []
    for path, mode in ((tmp_path, 0o755), (tmp_path / "hr", 0o711), (tmp_path / "hr" / "a.md", 0o604)):
        told.append(source.rules())
        path.chmod(mode)
    told.append(source.rules())
    assert len(set(told)) == 4
    (tmp_path / "hr" / "a.md").write_text("other")
    assert source.rules() == told[-1]
