"""A mailbox on an IMAP server as a source of documents (imap-tools).

A letter never changes: folder, UIDVALIDITY and UID name it for good (RFC 3501, section 2.3.1.1). The cursor
holds the UIDs of every folder as ranges, so what is new and what is gone is found by comparing numbers; no
extension of the server is needed for it. Other readers in the settings ask for everything once more. Nothing
is marked as read.
"""

from __future__ import annotations

import imaplib
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from imap_tools import AND, BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError, MailboxLoginError

from kiban.backends.sources.fetching import write
from kiban.backends.sources.letters import LetterReaders, head_of, message_id
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import GoneMeanwhile, PartUnavailable, SourceRefused

_AT_ONCE = 200  # letters asked for in one command
_SECONDS = 60.0

Uids = dict[str, tuple[int, frozenset[int]]]  # folder -> UIDVALIDITY, UIDs


@dataclass(frozen=True, slots=True)
class Account:
    host: str
    port: int
    tls: str  # "tls", "starttls" or "none"
    username: str
    password: str = field(repr=False)
    authority: Path | None = None  # certificates to trust besides the system's

    def connect(self) -> BaseMailBox:
        context = ssl.create_default_context(cafile=self.authority)
        if self.tls == "none":
            return MailBoxUnencrypted(self.host, self.port, timeout=_SECONDS)
        if self.tls == "starttls":
            return MailBoxStartTls(self.host, self.port, timeout=_SECONDS, ssl_context=context)
        return MailBox(self.host, self.port, timeout=_SECONDS, ssl_context=context)


class ImapSource:
    """Lists the letters of the folders whose names match one of `folders`, with "*" and "?"."""

    def __init__(
        self, name: str, account: Account, folders: Sequence[str], readers: LetterReaders, max_bytes: int
    ) -> None:
        self.name = name
        self._account = account
        self._folders = folders
        self._readers = readers
        self._max_bytes = max_bytes

    def listing(self, cursor: str = "") -> Listing:
        readers = self._readers.fingerprint()
        known = _read_cursor(cursor, readers)
        now: Uids = {}
        if known is None:
            return Listing(self._entries({}, now), cursor=lambda: _cursor(now, readers))
        entries = list(self._entries(known, now))
        gone = tuple(
            _uri(folder, validity, uid)
            for folder, (validity, uids) in known.items()
            for uid in sorted(uids - _same(now, folder, validity))
        )
        return Listing(entries, whole=False, gone=gone, cursor=lambda: _cursor(now, readers))

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        place, validity, uid = _read_uri(listed.uri)
        if listed.size > self._max_bytes:
            return write([], listed, folder, listed.uri, self._max_bytes)
        with self._box() as box:
            if not box.folder.exists(place) or self._validity(box, place) != validity:
                raise GoneMeanwhile(listed.uri)
            box.folder.set(place, readonly=True)
            content = next((content for _, content in _bodies(box, [uid], "BODY.PEEK[]")), None)
        if content is None:
            raise GoneMeanwhile(listed.uri)
        return write([content], listed, folder, listed.uri, self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return the people on all letters; nobody, where readers are groups by folder."""
        return self._readers.memberships(self._heads()) if self._readers.people else {}

    def _heads(self) -> Iterator[Any]:
        with self._box() as box:
            for place in self._places(box):
                box.folder.set(place, readonly=True)
                yield from (head_of(head) for _, head, _ in _heads(box, _uids(box)))

    def _entries(self, known: Uids, now: Uids) -> Iterator[Listed]:
        with self._box() as box:
            for place in self._places(box):
                validity = self._validity(box, place)
                box.folder.set(place, readonly=True)
                uids = _uids(box)
                for uid, content, size in _heads(box, sorted(set(uids) - _same(known, place, validity))):
                    yield self._listed(_uri(place, validity, uid), place, content, size)
                now[place] = (validity, frozenset(uids))

    def _listed(self, uri: str, place: str, content: bytes, size: int) -> Listed:
        head = head_of(content)
        date = head["date"].datetime if head["date"] is not None and head["date"].datetime else None
        return Listed(
            uri,
            tag=uri,
            size=size,
            audience=self._readers.audience(place, head),
            modified=date if date is not None and date.tzinfo else None,
            identity=message_id(head),
        )

    def _places(self, box: BaseMailBox) -> list[str]:
        names = [
            folder.name
            for folder in box.folder.list()
            if not {"\\noselect", "\\nonexistent"} & {flag.lower() for flag in folder.flags}
        ]
        return sorted(name for name in names if any(fnmatchcase(name, like) for like in self._folders))

    def _validity(self, box: BaseMailBox, place: str) -> int:
        return int(box.folder.status(place, ["UIDVALIDITY"])["UIDVALIDITY"])

    @contextmanager
    def _box(self) -> Iterator[BaseMailBox]:
        """Give a connection that is logged in. Says in our words what the server answered."""
        where = f"{self._account.host}:{self._account.port}"
        try:
            with self._account.connect() as box:
                box.login(self._account.username, self._account.password, initial_folder=None)
                yield box
        except MailboxLoginError as error:
            raise SourceRefused(f"{where} does not let {self._account.username} in") from error
        except ssl.SSLCertVerificationError as error:
            raise SourceRefused(f"{where}: {error.verify_message}") from error
        except (OSError, imaplib.IMAP4.error, ImapToolsError) as error:
            raise PartUnavailable(f"{where}: {error}") from error


def _uids(box: BaseMailBox) -> list[int]:
    return [int(uid) for uid in box.uids(AND(deleted=False))]


def _heads(box: BaseMailBox, uids: Sequence[int]) -> Iterator[tuple[int, bytes, int]]:
    """Yield UID, head and size (bytes) of letters."""
    for line, content in _bodies(box, uids, "RFC822.SIZE BODY.PEEK[HEADER]"):
        yield int(_after(line, "UID")), content, int(_after(line, "RFC822.SIZE"))


def _bodies(box: BaseMailBox, uids: Sequence[int], what: str) -> Iterator[tuple[str, bytes]]:
    """Yield the server's line and literal for each of these letters that is still there."""
    for start in range(0, len(uids), _AT_ONCE):
        wanted = ",".join(map(str, uids[start : start + _AT_ONCE]))
        answer, parts = box.client.uid("fetch", wanted, f"(UID {what})")
        if answer != "OK":
            raise PartUnavailable(f"the server answered {answer} to FETCH")
        for at, part in enumerate(parts):
            if isinstance(part, tuple):
                tail = parts[at + 1] if at + 1 < len(parts) and isinstance(parts[at + 1], bytes) else b""
                yield (part[0] + b" " + tail).decode(errors="replace"), part[1]


def _after(line: str, word: str) -> str:
    words = line.replace("(", " ").replace(")", " ").split()
    return words[words.index(word) + 1]


def _same(known: Uids, place: str, validity: int) -> frozenset[int]:
    """Return the UIDs of a folder, if they still mean the same letters."""
    of, uids = known.get(place, (validity, frozenset()))
    return uids if of == validity else frozenset()


def _uri(place: str, validity: int, uid: int) -> str:
    return f"{place}/{validity}-{uid}.eml"


def _read_uri(uri: str) -> tuple[str, int, int]:
    place, _, name = uri.rpartition("/")
    validity, _, uid = name.removesuffix(".eml").partition("-")
    return place, int(validity), int(uid)


def _cursor(now: Uids, readers: str) -> str:
    folders = {place: [validity, _ranges(uids)] for place, (validity, uids) in now.items()}
    return json.dumps({"readers": readers, "folders": folders})


def _read_cursor(cursor: str, readers: str) -> Uids | None:
    """Return what was known; None when that is nothing, or was said of other readers."""
    try:
        says = json.loads(cursor)
        if says["readers"] != readers:
            return None
        return {
            place: (int(validity), frozenset(_numbers(ranges)))
            for place, (validity, ranges) in says["folders"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _ranges(uids: Iterable[int]) -> str:
    """Return numbers as IMAP writes them: 1:3,7."""
    runs: list[list[int]] = []
    for uid in sorted(uids):
        if runs and runs[-1][1] == uid - 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(f"{first}:{last}" if first != last else str(first) for first, last in runs)


def _numbers(ranges: str) -> Iterator[int]:
    for run in filter(None, ranges.split(",")):
        first, _, last = run.partition(":")
        yield from range(int(first), int(last or first) + 1)
