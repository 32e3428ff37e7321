"""A folder as a source of documents, with its readers in YAML files beside them (PyYAML).

`.readers.yaml` says who may read the files of its folder and of folders below that have none of their own:

    readers: [hr, directors]      # or [everyone]

`.people.yaml` at the root says who is in which group:

    tanaka@example.com: [hr]

Whatever is missing or cannot be understood means nobody.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import SourceFile
from kiban.errors import PartUnavailable

READERS = ".readers.yaml"
PEOPLE = ".people.yaml"
_TEMPORARY_STARTS = (".", "~$")
_TEMPORARY_ENDS = ("~", ".tmp", ".part", ".crdownload", ".swp")
_NOT_DOCUMENTS = ("thumbs.db", "desktop.ini")
_LARGEST_YAML = 1_000_000  # bytes
_log = logging.getLogger(__name__)


class FolderSource:
    """Lists the files below `root`. Symbolic links are not followed: what one points at has other readers.

    A file above `max_bytes` is listed but not hashed; its size and time stand in for its content.
    """

    def __init__(self, name: str, root: Path, max_bytes: int) -> None:
        self.name = name
        self.root = root
        self.max_bytes = max_bytes

    def files(self) -> Iterator[SourceFile]:
        """List files in order of their path. Raises PartUnavailable if a folder cannot be listed: its
        documents must not look deleted."""
        if not self.root.is_dir():
            raise PartUnavailable(f"the folder {self.root} cannot be read")
        yield from self._below(self.root, NOBODY, set())

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return groups by person."""
        listed = _read_yaml(self.root / PEOPLE)
        if listed is not None and not isinstance(listed, dict):
            _log.warning(
                "%s is not a mapping of people to groups: nobody is in any group", self.root / PEOPLE
            )
            return {}
        people = {str(person): _groups(groups) for person, groups in (listed or {}).items()}
        for person, groups in people.items():
            if groups is None:
                _log.warning("%s: the groups of %s are not a list of names", self.root / PEOPLE, person)
        return {person: groups or frozenset() for person, groups in people.items()}

    def _below(self, folder: Path, inherited: Audience, seen: set[str]) -> Iterator[SourceFile]:
        audience = _audience(folder, inherited)
        for entry in self._entries(folder):
            if entry.is_symlink() or _is_noise(entry.name):
                continue
            if entry.is_dir():
                yield from self._below(Path(entry.path), audience, seen)
            elif entry.is_file() and (file := self._file(Path(entry.path), audience)):
                if file.uri in seen:
                    _log.warning("%s differs from another file only in its Unicode form: left out", file.path)
                    continue
                seen.add(file.uri)
                yield file

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise PartUnavailable(f"the folder {folder} cannot be listed: {error.strerror}") from error

    def _file(self, path: Path, audience: Audience) -> SourceFile | None:
        uri = unicodedata.normalize("NFC", path.relative_to(self.root).as_posix())
        if any("\ud800" <= character <= "\udfff" for character in uri):
            _log.warning("%r has a name that is not Unicode: left out", path)
            return None
        try:
            size, sha256 = self._measured(path)
        except FileNotFoundError:  # deleted since the folder was listed
            return None
        except OSError as error:  # listed all the same, so that it is recorded as failed, not as deleted
            size, sha256 = 0, _stand_in(str(error.errno))
        return SourceFile(uri, path, size, sha256, audience)

    def _measured(self, path: Path) -> tuple[int, str]:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as content:
            status = os.fstat(content.fileno())
            if status.st_size > self.max_bytes:
                return status.st_size, _stand_in(f"{status.st_size} {status.st_mtime_ns}")
            return status.st_size, hashlib.file_digest(content, "sha256").hexdigest()


def _audience(folder: Path, inherited: Audience) -> Audience:
    """Return who may read the files of a folder. A file that is there but wrong means nobody."""
    path = folder / READERS
    if not os.path.lexists(path):
        return inherited
    listed = _read_yaml(path)
    groups = _groups(listed.get("readers")) if isinstance(listed, dict) else None
    if groups is None:
        _log.warning("%s does not say `readers: [group, ...]`: nobody may read what lies there", path)
        return NOBODY
    return Audience(groups)


def _groups(listed: Any) -> frozenset[str] | None:
    """Return group names, or None if these are none. A comma parts names elsewhere, so no name has one."""
    if not isinstance(listed, list):
        return None
    if not all(isinstance(name, str) and name.strip() and "," not in name for name in listed):
        return None
    return frozenset(name.strip() for name in listed)


def _read_yaml(path: Path) -> Any:
    """Return what a YAML file says; None when it is missing, or cannot be read or understood."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > _LARGEST_YAML:
            _log.warning("%s is not a small regular file: ignored", path)
            return None
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        _log.warning("%s cannot be understood: %s", path, error)
        return None


def _is_noise(name: str) -> bool:
    lower = name.lower()
    return lower.startswith(_TEMPORARY_STARTS) or lower.endswith(_TEMPORARY_ENDS) or lower in _NOT_DOCUMENTS


def _stand_in(says: str) -> str:
    return hashlib.sha256(f"not hashed: {says}".encode()).hexdigest()
