"""Who may read an e-mail, and what it is called, for IMAP and for folders of files (standard library)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Literal

from kiban.backends.sources.fetching import group_name
from kiban.domain.access import NOBODY, Audience

_PEOPLE = ("from", "sender", "to", "cc", "bcc")


@dataclass(frozen=True, slots=True)
class LetterReaders:
    """Who may read a letter: groups by mailbox folder, or the people on it.

    A folder's groups hold for folders below it, the nearest one winning; "" stands for all. With `people`,
    each of the company's own addresses (`domain`) on From, Sender, To, Cc or Bcc reads, under the group
    "SOURCE:person:ADDRESS"; `person` says whether somebody is known here by address or by what precedes "@".
    """

    source: str
    folders: Mapping[str, Iterable[str]] = field(default_factory=dict)
    people: bool = False
    domain: str = ""
    person: Literal["address", "local"] = "address"

    def audience(self, folder: str, head: EmailMessage | None) -> Audience:
        if self.people:
            ours = self._ours(head) if head is not None else set()
            return Audience(frozenset(map(self._group, ours)))
        steps = folder.split("/")
        for end in range(len(steps), -1, -1):
            groups = self.folders.get("/".join(steps[:end]))
            if groups is not None:
                return Audience(frozenset(groups))
        return NOBODY

    def fingerprint(self) -> str:
        """Return another text when the same letters would have other readers."""
        folders = sorted((folder, sorted(groups)) for folder, groups in self.folders.items())
        return hashlib.sha256(repr((folders, self.people, self.domain)).encode()).hexdigest()[:16]

    def memberships(self, heads: Iterable[EmailMessage]) -> dict[str, frozenset[str]]:
        """Return the one group of every person on these letters."""
        addresses = {address for head in heads for address in self._ours(head)}
        return {self._known_as(address): frozenset({self._group(address)}) for address in sorted(addresses)}

    def _ours(self, head: EmailMessage) -> set[str]:
        given = [str(value) for name in _PEOPLE for value in head.get_all(name, [])]
        addresses = {address.strip().lower() for _, address in getaddresses(given)}
        return {address for address in addresses if _local(address, self.domain)}

    def _group(self, address: str) -> str:
        return group_name(self.source, "person", address)

    def _known_as(self, address: str) -> str:
        return address if self.person == "address" else _local(address, self.domain)


def head_of(content: bytes) -> EmailMessage:
    """Return the head of a letter; what cannot be understood in it is kept as it stands."""
    end = re.search(rb"\r?\n\r?\n", content)
    head = message_from_bytes(content[: end.end()] if end else content, policy=policy.default)
    assert isinstance(head, EmailMessage)  # the default policy makes no other
    return head


def message_id(head: EmailMessage) -> str:
    """Return what stays when a letter is moved to another folder; "" when it says nothing."""
    return str(head.get("message-id", "")).strip()


def _local(address: str, domain: str) -> str:
    """Return what precedes "@" if the address is one of this domain, else ""."""
    local, _, of = address.rpartition("@")
    return local if of == domain.lower() and not re.search(r"[\s,]", local) else ""
