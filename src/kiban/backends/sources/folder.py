"""A folder as a source of documents, with its readers in the YAML files that readers.py describes, or in the
owners and modes of its files (posix_readers.py).

Whatever is missing or cannot be understood means nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from kiban.backends.sources.posix_readers import PosixReaders
from kiban.backends.sources.readers import PEOPLE, READERS, audience_in, is_noise, is_plain, people_in
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import BrokenFile, GoneMeanwhile, OversizeFile, PartUnavailable

_LARGEST_YAML = 1_000_000  # bytes
_PIECE = 2**20  # bytes copied at a time
_FRESH = 2.0  # seconds within which two writes may leave one and the same time
_log = logging.getLogger(__name__)


class FolderSource:
    """Lists the files below `root`. Symbolic links are not followed: what one points at has other readers.

    A tag is made of size, inode and the times of the last write and of the last change of any kind. The
    latter nobody can set back, so new content is noticed even under an old date; and as two changes may
    fall into one tick of the clock, a file changed just now is looked at once more (as git does, see
    racy-git). No byte is read to list a folder.
    """

    def __init__(self, name: str, root: Path, max_bytes: int, posix: PosixReaders | None = None) -> None:
        self.name = name
        self.root = root
        self.max_bytes = max_bytes
        self._posix = posix  # None: YAML files say who reads

    def listing(self, cursor: str = "") -> Listing:
        """Return all files in order of their path. Raises PartUnavailable if a folder cannot be listed: its
        documents must not look deleted."""
        if not self.root.is_dir():
            raise PartUnavailable(f"the folder {self.root} cannot be read")
        return Listing(self._below(self.root, self._posix or YamlReaders(), set()))

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        """Copy a file. Raises GoneMeanwhile, OversizeFile, BrokenFile; PartUnavailable on a machine where the
        folder is not mounted: its documents must not look gone."""
        original = self._original(listed.uri)
        copy = folder / f"{hashlib.sha256(listed.uri.encode()).hexdigest()}{original.suffix.lower()}"
        try:
            with os.fdopen(os.open(original, os.O_RDONLY | os.O_NOFOLLOW), "rb") as content:
                size, sha256 = _copy(content, copy, self.max_bytes)
        except FileNotFoundError as error:
            if not self.root.is_dir() or not any(self.root.iterdir()):
                raise PartUnavailable(f"the folder {self.root} is not there, or empty") from error
            raise GoneMeanwhile(listed.uri) from error
        except OSError as error:
            raise BrokenFile(f"cannot be opened: {error.strerror}") from error
        return listed.fetched(copy, size, sha256)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return groups by person."""
        if self._posix is not None:
            return self._posix.people()
        path = self.root / PEOPLE
        content = _read(path)
        return {} if content is None else people_in(content, str(path))

    def rules(self) -> str:
        """Return what changes whenever a file about readers or people does, or an owner or a mode where those
        say who reads; cheap enough to ask often."""
        digest = hashlib.sha256()
        for folder, below, files in os.walk(self.root):
            below[:] = sorted(name for name in below if not is_noise(name))
            telling = {READERS, PEOPLE} & set(files) if self._posix is None else {".", *files}
            for name in sorted(telling):
                with contextlib.suppress(FileNotFoundError):
                    says = self._says(os.lstat(Path(folder, name)))
                    digest.update(f"{folder} {name} {says}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _says(self, status: os.stat_result) -> str:
        return _tag(status) if self._posix is None else f"{status.st_uid} {status.st_gid} {status.st_mode}"

    def _below(self, folder: Path, above: YamlReaders | PosixReaders, seen: set[str]) -> Iterator[Listed]:
        readers, entries = above.inside(folder), self._entries(folder)
        for entry in entries:
            if entry.is_symlink() or is_noise(entry.name):
                continue
            if entry.is_dir():
                yield from self._below(Path(entry.path), readers, seen)
            elif entry.is_file() and (listed := self._listed(Path(entry.path), readers)):
                if listed.uri in seen:
                    _log.warning("%s differs from another only in its Unicode form: left out", entry.path)
                    continue
                seen.add(listed.uri)
                yield listed

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise PartUnavailable(f"the folder {folder} cannot be listed: {error.strerror}") from error

    def _listed(self, path: Path, readers: YamlReaders | PosixReaders) -> Listed | None:
        uri = unicodedata.normalize("NFC", path.relative_to(self.root).as_posix())
        if any("\ud800" <= character <= "\udfff" for character in uri):
            _log.warning("%r has a name that is not Unicode: left out", path)
            return None
        try:
            status = path.lstat()
        except FileNotFoundError:  # deleted since the folder was listed
            return None
        return Listed(
            uri,
            _tag(status),
            status.st_size,
            readers.of(path, status),
            url=path.as_uri(),
            modified=datetime.fromtimestamp(status.st_mtime, UTC),
            identity=f"{status.st_dev}:{status.st_ino}",
        )

    def _original(self, uri: str) -> Path:
        """Return the path of a uri, whatever Unicode form its names have on the disk."""
        if not is_plain(uri) or "" in uri.split("/"):
            raise GoneMeanwhile(f"{uri!r} is no path below a folder")
        path = self.root
        for name in uri.split("/"):
            path /= name if os.path.lexists(path / name) else _as_on_disk(path, name)
        if path.parent.resolve() != self.root.resolve() / path.parent.relative_to(self.root):
            raise GoneMeanwhile(f"{uri}: a folder on its way has become a link")
        return path


@dataclass(frozen=True, slots=True)
class YamlReaders:
    """Who reads what lies in a folder, by the nearest `.readers.yaml` above."""

    audience: Audience = NOBODY

    def inside(self, folder: Path) -> YamlReaders:
        return YamlReaders(_audience(folder, self.audience))

    def of(self, path: Path, status: os.stat_result) -> Audience:
        return self.audience


def _as_on_disk(folder: Path, name: str) -> str:
    if folder.is_dir():
        for other in os.listdir(folder):
            if unicodedata.normalize("NFC", other) == name:
                return other
    return name


def _tag(status: os.stat_result) -> str:
    fresh = "" if time.time() - status.st_ctime > _FRESH else " fresh"
    return f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}{fresh}"


def _copy(content: BinaryIO, copy: Path, max_bytes: int) -> tuple[int, str]:
    """Copy, and return size and sha256. Raises OversizeFile."""
    size, digest = 0, hashlib.sha256()
    with copy.open("wb") as out:
        while piece := content.read(_PIECE):
            size += len(piece)
            if size > max_bytes:
                total = os.fstat(content.fileno()).st_size
                raise OversizeFile(f"{total:,} bytes, more than {max_bytes:,}")
            digest.update(piece)
            out.write(piece)
    return size, digest.hexdigest()


def _audience(folder: Path, inherited: Audience) -> Audience:
    """Return who may read the files of a folder. A file that is there but wrong means nobody."""
    path = folder / READERS
    if not os.path.lexists(path):
        return inherited
    content = _read(path)
    return NOBODY if content is None else audience_in(content, str(path))


def _read(path: Path) -> bytes | None:
    """Return a small regular file's bytes; None when it is missing, is another thing, or cannot be read."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > _LARGEST_YAML:
            _log.warning("%s is not a small regular file: ignored", path)
            return None
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s cannot be read: %s", path, error)
        return None
