"""Who is in which group, from an LDAP server (RFC 4511), page by page (RFC 2696), groups within groups too.

Whoever cannot be told apart gets nothing: two people of one name have no group, and two groups of one name
are nobody's.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import ldap3
from ldap3.core.exceptions import (
    LDAPCommunicationError,
    LDAPException,
    LDAPInvalidDnError,
    LDAPOperationResult,
)
from ldap3.utils.dn import parse_dn

from kiban.errors import PartUnavailable, SourceRefused

CONNECT_SECONDS = 5
BY_NAME = ("member", "uniqueMember")  # attributes of groups that hold distinguished names
LOGIN = "uid"
BY_LOGIN = "memberUid"  # and that of posixGroup, which holds login names
ESCAPED = re.compile(r"\\([0-9A-Fa-f]{2})|\\(.)")

Name = tuple[tuple[str, str], ...]  # a distinguished name, so that equal ones compare equal
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach a server, and as whom."""

    host: str
    port: int
    tls: Literal["tls", "starttls", "none"]
    bind: str
    password: str
    authority: Path | None = None
    seconds: int = 30  # for an answer


@dataclass(frozen=True, slots=True)
class Branch:
    """Where entries are: below a distinguished name, those a filter lets through, named by an attribute."""

    base: str
    filter: str
    named_by: str


class LdapDirectory:
    """The people of one directory. Nothing is connected to before it is asked."""

    def __init__(
        self, name: str, server: Server, people: Branch, groups: Branch, *, prefix: str = "", page: int = 500
    ) -> None:
        self.name = name
        self._server, self._people, self._groups = server, people, groups
        self._prefix, self._page = prefix, page

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return the groups of every person, with all groups that these are in.

        Raises PartUnavailable, or SourceRefused for a server that does not let us in or shows us nobody: an
        empty answer is more often a wrong setting than an empty company.
        """
        with self._connected() as connection:
            people = list(self._entries(connection, self._people, (LOGIN,)))
            groups = list(self._entries(connection, self._groups, (*BY_NAME, BY_LOGIN)))
        for what, found in (("person", people), ("group", groups)):
            if not found:
                raise SourceRefused(f"{self.name} shows us no {what}.", mend="its bases and filters")
        return self._resolve(people, groups)

    def _resolve(self, people: list[Entry], groups: list[Entry]) -> dict[str, frozenset[str]]:
        within: dict[Name | str, set[Name]] = defaultdict(set)  # of a person or a group, or a login name
        for group in groups:
            for attribute in BY_NAME:
                for member in group.values(attribute):
                    within[canonical(member)].add(group.name)
            for login in group.values(BY_LOGIN):
                within[login].add(group.name)
        names = self._unambiguous(groups, self._groups.named_by, "groups")
        called = self._unambiguous(people, self._people.named_by, "people")
        found: dict[str, frozenset[str]] = {}
        for person in people:
            logins = person.values(LOGIN)
            reached = _above([person.name, *logins], within)
            mine = frozenset(f"{self._prefix}{name}" for group in reached for name in names[group])
            found |= {name: mine for name in called[person.name]}
        return found

    def _unambiguous(self, entries: list[Entry], attribute: str, what: str) -> dict[Name, list[str]]:
        """Return the names of each entry that no other one has."""
        named = {entry.name: [name for name in entry.values(attribute) if name.strip()] for entry in entries}
        counted = Counter(name for names in named.values() for name in set(names))
        if shared := sorted(name for name, count in counted.items() if count > 1):
            log.warning("directory %s: several %s are called %s", self.name, what, ", ".join(shared[:5]))
        return {dn: [name for name in names if counted[name] == 1] for dn, names in named.items()}

    def _entries(self, connection: ldap3.Connection, branch: Branch, also: Iterable[str]) -> Iterator[Entry]:
        found = connection.extend.standard.paged_search(
            branch.base,
            branch.filter,
            search_scope=ldap3.SUBTREE,
            attributes=[branch.named_by, *also],
            paged_size=self._page,
            generator=True,
        )
        for entry in found:
            if entry["type"] == "searchResEntry":  # and not a hint at another server
                yield Entry(canonical(entry["dn"]), entry["raw_attributes"])

    @contextmanager
    def _connected(self) -> Iterator[ldap3.Connection]:
        where = f"directory {self.name} at {self._server.host}:{self._server.port}"
        connection = self._connection()
        try:
            connection.open()
            if self._server.tls == "starttls":
                connection.start_tls()
            connection.bind()
            yield connection
        except (LDAPCommunicationError, ssl.SSLError) as error:
            raise PartUnavailable(f"{where}: {error}") from error
        except LDAPOperationResult as error:
            raise SourceRefused(f"{where}: {error.description} {error.message}".strip()) from error
        except LDAPException as error:
            raise PartUnavailable(f"{where}: {error}") from error
        finally:
            with suppress(LDAPException):
                connection.unbind()
            if connection.socket is not None:  # unbind leaves open what never was bound
                connection.socket.close()

    def _connection(self) -> ldap3.Connection:
        server = self._server
        tls = ldap3.Tls(
            validate=ssl.CERT_REQUIRED, ca_certs_file=str(server.authority) if server.authority else None
        )
        return ldap3.Connection(
            ldap3.Server(
                server.host,
                server.port,
                use_ssl=server.tls == "tls",
                tls=None if server.tls == "none" else tls,
                get_info=ldap3.NONE,
                connect_timeout=CONNECT_SECONDS,
            ),
            user=server.bind or None,
            password=server.password or None,
            receive_timeout=server.seconds,
            auto_referrals=False,  # our password is for this server
            raise_exceptions=True,
            read_only=True,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry that was found."""

    name: Name
    attributes: Mapping[str, Any]

    def values(self, attribute: str) -> list[str]:
        """Return what an attribute holds; what is not text is left out."""
        wanted = attribute.lower()
        kept = (values for name, values in self.attributes.items() if name.lower() == wanted)
        texts = [value.decode("utf-8", "replace") for value in chain(*kept)]
        return [text for text in texts if "\ufffd" not in text]


def canonical(name: str) -> Name:
    """Return a distinguished name as parts, without regard to case, spaces and ways to escape (RFC 4514)."""
    try:
        parts = parse_dn(name, strip=True)
    except LDAPInvalidDnError:
        return ((name, ""),)
    return tuple((kind.lower(), _unescaped(value).lower()) for kind, value, _ in parts)


def _unescaped(value: str) -> str:
    raw = ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], value)
    try:
        return raw.encode("latin-1").decode("utf-8") if "\\" in value else raw
    except (UnicodeEncodeError, UnicodeDecodeError):
        return raw


def _above(start: Iterable[Name | str], within: Mapping[Name | str, set[Name]]) -> set[Name]:
    """Return all groups that something is in, by whatever way; groups may hold each other."""
    reached: set[Name] = set()
    left = list(start)
    while left:
        for group in within.get(left.pop(), ()):
            if group not in reached:
                reached.add(group)
                left.append(group)
    return reached
