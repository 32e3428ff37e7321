"""A mailbox on an IMAP server, a process of its own, and a folder of letters."""

from __future__ import annotations

import hashlib
import itertools
import mailbox
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from imap_tools import MailBoxUnencrypted

from kiban.backends.sources.imap import Account, ImapSource
from kiban.backends.sources.letters import LetterReaders
from kiban.backends.sources.mail_folder import MailFolderSource
from source_places import PlainGroups

USER, PASSWORD = "demouser", "demopass"
_numbers = itertools.count(1)


@contextmanager
def server(port: int, *options: str) -> Iterator[int]:
    """Run an IMAP server with an empty mailbox, and give its port."""
    code = "import sys; from pymap.main import main; sys.argv[0] = 'pymap'; sys.exit(main())"
    options = options or ("--no-tls",)
    address = ("--host", "127.0.0.1", "--port", str(port))
    command = [sys.executable, "-W", "ignore", "-c", code, *address, *options, "dict"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                MailBoxUnencrypted("127.0.0.1", port, timeout=5).client.shutdown()
                break
            except OSError:
                assert process.poll() is None, "the IMAP server ended"
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def letter(subject: str, text: str, **heads: str) -> bytes:
    message = EmailMessage()
    message["From"] = heads.get("sender", "sato@example.com")
    message["To"] = heads.get("to", "tanaka@example.com")
    message["Subject"] = subject
    message["Date"] = "Tue, 03 Nov 2026 09:00:00 +0900"
    message["Message-ID"] = f"<{next(_numbers)}@example.com>"
    message.set_content(text)
    return message.as_bytes()


class ImapPlace(PlainGroups):
    """Every place is a folder of its own on the one server."""

    keeps_versions = False
    changes_in_place = False

    def __init__(self, port: int) -> None:
        self.account = Account("127.0.0.1", port, "none", USER, PASSWORD)
        self.root = f"kb{next(_numbers)}"
        self.groups: dict[str, tuple[str, ...]] = {}
        self._uris: dict[str, str] = {}

    @contextmanager
    def box(self) -> Iterator[MailBoxUnencrypted]:
        with MailBoxUnencrypted(self.account.host, self.account.port, timeout=30) as box:
            box.login(USER, PASSWORD, initial_folder=None)
            yield box

    def readers(self, folder: str, *groups: str) -> None:
        self.groups[f"{self.root}/{folder}"] = groups

    def write(self, name: str, text: str) -> None:
        folder, _, title = name.partition("/")
        place = f"{self.root}/{folder}"
        with self.box() as box:
            if not box.folder.exists(place):
                box.folder.create(place)
            status = box.folder.status(place, ["UIDVALIDITY", "UIDNEXT"])
            box.append(letter(title, text), place)
        self._uris[name] = f"{place}/{status['UIDVALIDITY']}-{status['UIDNEXT']}.eml"

    def remove(self, name: str) -> None:
        place, _, last = self._uris[name].rpartition("/")
        with self.box() as box:
            box.folder.set(place)
            box.delete([last.removesuffix(".eml").partition("-")[2]])

    def uri(self, name: str) -> str:
        return self._uris[name]

    def source(self, kept: Path, max_bytes: int = 100_000) -> ImapSource:
        readers = LetterReaders("mail", dict(self.groups))
        return ImapSource("mail", self.account, [f"{self.root}/*"], readers, max_bytes)

    def unreachable(self, kept: Path) -> ImapSource:
        account = Account("127.0.0.1", 9, "none", USER, PASSWORD)
        return ImapSource("mail", account, ["*"], LetterReaders("mail"), 1)


class MailFolderPlace(PlainGroups):
    """Letters in one mbox file a folder."""

    keeps_versions = False
    changes_in_place = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.groups: dict[str, tuple[str, ...]] = {}
        self._written: dict[str, bytes] = {}

    def readers(self, folder: str, *groups: str) -> None:
        self.groups[f"{folder}.mbox"] = groups

    def write(self, name: str, text: str) -> None:
        self._written[name] = letter(name.partition("/")[2], text)
        self._save()

    def remove(self, name: str) -> None:
        del self._written[name]
        self._save()

    def _save(self) -> None:
        for old in self.root.glob("*.mbox"):
            old.unlink()
        for name, content in self._written.items():
            box = mailbox.mbox(self.root / f"{name.partition('/')[0]}.mbox")
            box.add(content)
            box.close()

    def uri(self, name: str) -> str:
        folder = name.partition("/")[0]
        return f"{folder}.mbox/{hashlib.sha256(self._written[name]).hexdigest()[:32]}.eml"

    def source(self, kept: Path, max_bytes: int = 100_000) -> MailFolderSource:
        return MailFolderSource("mail", self.root, LetterReaders("mail", dict(self.groups)), max_bytes)

    def unreachable(self, kept: Path) -> MailFolderSource:
        return MailFolderSource("mail", self.root / "nowhere", LetterReaders("mail"), 1)
