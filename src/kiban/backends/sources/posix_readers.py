"""Who may read a file by its owner, its group and its mode, and by those of the folders on the way to it.

A person is judged as owner, as member of the group, or as one of the others, by the first that fits and by no
other (POSIX.1-2017, 4.5 File Access Permissions). An audience is a union, so what can only be said with an
exception ("all but the group") is said more narrowly: whoever is not surely let through reads nothing. Only
owners may read here, as members of the group, what they have shut for themselves and could open again. A file
with an access control list, whose group bits mean something else, is for nobody.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

from kiban.domain.access import EVERYONE, NOBODY, Audience
from kiban.errors import PartUnavailable

_READ, _PASS = 4, 1  # of the three bits of a class
_LISTS = {"system.posix_acl_access", "system.nfs4_acl", "system.richacl"}
_SQUASHED = ("nobody", "nogroup", "nfsnobody")  # what a file server calls those it does not know


@dataclass(frozen=True, slots=True)
class PosixReaders:
    """Readers of what lies below a folder. Groups are called as the system calls them; an owner is the only
    member of the group "SOURCE:person:LOGIN". People are called LOGIN, or LOGIN@domain.
    """

    source: str
    domain: str = ""
    way: tuple[os.stat_result, ...] = ()  # the folders from the root down
    shut: bool = False  # has one of them an access control list?

    def inside(self, folder: Path) -> Self:
        """Return the readers of what lies in a folder. Raises PartUnavailable where it cannot be asked."""
        try:
            status = folder.lstat()
        except OSError as error:
            raise PartUnavailable(f"the folder {folder} cannot be read: {error.strerror}") from error
        return replace(self, way=(*self.way, status), shut=self.shut or _has_list(folder))

    def of(self, path: Path, status: os.stat_result) -> Audience:
        if self.shut or _has_list(path):
            return NOBODY
        group, owner = _group(status.st_gid), _login(status.st_uid)
        readers = {
            EVERYONE: _others(status, _READ) and all(_others(step, _PASS) for step in self.way),
            group: _members(status, status.st_gid, _READ)
            and all(_members(step, status.st_gid, _PASS) for step in self.way),
            owner and self._alone(owner): _owner(status, status.st_uid, _READ)
            and all(_owner(step, status.st_uid, _PASS) for step in self.way),
        }
        return Audience(frozenset(name for name, may in readers.items() if may and name))

    def people(self) -> Mapping[str, frozenset[str]]:
        """Return the groups of everybody whom the system lists (`getent passwd`, `getent group`)."""
        _group.cache_clear()
        _login.cache_clear()
        members: dict[str, set[str]] = {}
        for user in pwd.getpwall():
            if owner := _login(user.pw_uid):
                members.setdefault(user.pw_name, set()).update({self._alone(owner), _group(user.pw_gid)})
        for group in grp.getgrall():
            for login in group.gr_mem:
                members.setdefault(login, set()).add(_group(group.gr_gid))
        end = self.domain and f"@{self.domain}"
        return {login + end: frozenset(filter(None, groups)) for login, groups in members.items()}

    def _alone(self, login: str) -> str:
        return f"{self.source}:person:{login}"


def _others(status: os.stat_result, bit: int) -> bool:
    """Tell whether everybody is surely let through: members of the group are judged by its bits alone."""
    return bool(status.st_mode & bit and status.st_mode & bit << 3)


def _members(status: os.stat_result, gid: int, bit: int) -> bool:
    """Tell whether all members of a group are let through."""
    return bool(status.st_mode & bit << 3) if status.st_gid == gid else _others(status, bit)


def _owner(status: os.stat_result, uid: int, bit: int) -> bool:
    return bool(status.st_mode & bit << 6) if status.st_uid == uid else _others(status, bit)


@lru_cache(maxsize=10_000)
def _group(gid: int) -> str:
    """Return the name of a group; "" for one that is unknown, or called what means something else here."""
    try:
        name = grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
    return "" if name in (*_SQUASHED, EVERYONE) or "," in name or ":" in name else name


@lru_cache(maxsize=10_000)
def _login(uid: int) -> str:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
    return "" if name in _SQUASHED or "," in name else name


def _has_list(path: Path) -> bool:
    """Tell whether a file has an access control list, or cannot be asked."""
    try:
        return not _LISTS.isdisjoint(os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        return error.errno != errno.ENOTSUP
