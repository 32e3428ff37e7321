"""A folder of .eml and .mbox files as a source of documents, each letter one (standard library)."""

from __future__ import annotations

import hashlib
import mailbox
import os
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path

from kiban.backends.sources.fetching import write
from kiban.backends.sources.letters import LetterReaders, head_of, message_id
from kiban.backends.sources.readers import is_noise, is_plain
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import GoneMeanwhile, OversizeFile, PartUnavailable


class MailFolderSource:
    """Lists the letters below `root`. A letter in an mbox file is named by the hash of its bytes, so that one
    taken out moves no other; the path of its file is its mailbox folder. Links are not followed."""

    def __init__(self, name: str, root: Path, readers: LetterReaders, max_bytes: int) -> None:
        self.name = name
        self._root = root
        self._readers = readers
        self._max_bytes = max_bytes

    def listing(self, cursor: str = "") -> Listing:
        return Listing(self._entries())

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        if listed.size > self._max_bytes:
            raise OversizeFile(f"{listed.uri}: {listed.size} bytes, {self._max_bytes} allowed")
        for path in self._places(listed.uri):
            for uri, content in self._letters(path):
                if uri == listed.uri:
                    return write([content], listed, folder, uri, self._max_bytes)
        raise GoneMeanwhile(listed.uri)

    def _places(self, uri: str) -> list[Path]:
        """Return the files that a letter may be in: its own, or the mbox file it is named after."""
        if not is_plain(uri):
            return []
        paths = (self._root / uri, self._root / uri.rpartition("/")[0])
        return [path for path in paths if path in set(self._files(self._root))]

    def memberships(self) -> Mapping[str, frozenset[str]]:
        return self._readers.memberships(self._heads()) if self._readers.people else {}

    def _heads(self) -> Iterator[EmailMessage]:
        for path in self._files(self._root):
            for _, content in self._letters(path):
                yield head_of(content)

    def _entries(self) -> Iterator[Listed]:
        seen: set[str] = set()
        for path in self._files(self._root):
            for uri, content in self._letters(path):
                if uri not in seen:  # the same letter twice in one file is one letter
                    seen.add(uri)
                    head = head_of(content)
                    audience = self._readers.audience(uri.rpartition("/")[0], head)
                    tag = hashlib.sha256(content).hexdigest()
                    yield Listed(uri, tag, len(content), audience, path.as_uri(), identity=message_id(head))

    def _files(self, folder: Path) -> Iterator[Path]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise PartUnavailable(f"the folder {folder} cannot be listed: {error.strerror}") from error
        for entry in entries:
            if entry.is_symlink() or is_noise(entry.name) or not is_plain(entry.name):
                continue
            if entry.is_dir():
                yield from self._files(Path(entry.path))
            elif entry.is_file() and entry.name.lower().endswith((".eml", ".mbox")):
                yield Path(entry.path)

    def _letters(self, path: Path) -> Iterator[tuple[str, bytes]]:
        """Yield uri and bytes of each letter of a file."""
        place = path.relative_to(self._root).as_posix()
        try:
            if path.suffix.lower() == ".eml":
                yield place, path.read_bytes()
                return
            box = mailbox.mbox(path, create=False)
            try:
                for key in box.keys():  # a mailbox iterates over letters, not over keys
                    content = box.get_bytes(key)
                    yield f"{place}/{hashlib.sha256(content).hexdigest()[:32]}.eml", content
            finally:
                box.close()
        except (FileNotFoundError, mailbox.NoSuchMailboxError):  # gone since the folder was listed
            return
        except OSError as error:
            raise PartUnavailable(f"{path} cannot be read: {error.strerror}") from error
