"""Confluence's pages, blog posts and attachments as a source.

They are listed by CQL: everything at first and every `whole_every` seconds, in between what was modified
lately. A change of readers modifies nothing, nor does a move to the trash: the whole listing finds those.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kiban.backends.sources.confluence_client import ConfluenceAccount, ConfluenceClient
from kiban.backends.sources.confluence_readers import Content, Readers, Space
from kiban.backends.sources.confluence_storage import page_html
from kiban.backends.sources.fetching import write
from kiban.backends.sources.patience import fetching, listing
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import GoneMeanwhile, SourceRefused

_PAGE = 100  # contents a request; Confluence may give fewer
_OVERLAP = 10  # minutes for which the search index may lag behind
_READ = "restrictions.read.restrictions"
_LISTED = f"version,space,ancestors,container,{_READ}.user,{_READ}.group"
_SHOWN = "body.storage,space,version,metadata.labels"


class ConfluenceSource:
    """The chosen spaces.

    `people` says whom an account id of Confluence is here, where the email is hidden; `anonymous_readers`
    are the groups that read what Confluence shows to people without an account.
    """

    def __init__(
        self,
        name: str,
        account: ConfluenceAccount,
        spaces: Sequence[str],
        max_bytes: int,
        *,
        attachments: bool = True,
        anonymous_readers: frozenset[str] = frozenset(),
        people: Mapping[str, str] | None = None,
        whole_every: float = 900.0,
        longest_wait: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._account = account
        self._spaces = tuple(spaces)
        self._max_bytes = max_bytes
        self._kinds = "page, blogpost, attachment" if attachments else "page, blogpost"
        self._anonymous_readers = anonymous_readers
        self._people = dict(people or {})
        self._whole_every = whole_every
        self._longest_wait = longest_wait
        self._clock = clock

    def listing(self, cursor: str = "") -> Listing:
        now, last = self._clock(), _Cursor.read(cursor)
        cql = f"space in ({', '.join(map(_quoted, self._spaces))}) and type in ({self._kinds})"
        whole = last is None or not last.at <= now < last.whole + self._whole_every
        if last is None or whole:
            return Listing(self._entries(cql), cursor=_Cursor(now, now).write)
        minutes = math.ceil((now - last.at) / 60) + _OVERLAP  # now() needs no time zone, a date would
        cql += f' and lastmodified >= now("-{minutes}m")'
        return Listing(self._entries(cql), whole=False, cursor=_Cursor(now, last.whole).write)

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        with self._client() as client:
            content = next(_search(client, f"id = {listed.identity}", _SHOWN), None)
            if content is None:
                raise GoneMeanwhile(listed.uri)
            title = content["title"]
            if content["type"] != "attachment":
                labels = [label["name"] for label in content["metadata"]["labels"]["results"]]
                page = page_html(title, content["space"]["name"], labels, content["body"]["storage"]["value"])
                return write([page.encode()], listed, folder, f"{title}.html", self._max_bytes)
            with fetching(), client.download(content["_links"]["download"]) as pieces:
                return write(pieces, listed, folder, title, self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        with listing(), self._client() as client:
            groups: dict[str, set[str]] = {}  # id of a user -> ids of groups
            people: dict[str, str] = {}
            for group in client.pages("rest/api/group", limit=200):
                group_id = _group_id(group, self._account.cloud)
                for user in self._members(client, group_id):
                    people[_user_id(user)] = self._person(user)
                    groups.setdefault(_user_id(user), set()).add(group_id)
            readers = self._readers(client)
        return {people[user]: readers.memberships(user, frozenset(of)) for user, of in groups.items()}

    def _entries(self, cql: str) -> Iterator[Listed]:
        with listing(), self._client() as client:
            found = [
                self._content(client, raw) for raw in _search(client, f"{cql} order by created", _LISTED)
            ]
            readers = self._readers(client, known={content.id: content for content in found})
            for content in found:
                yield Listed(
                    content.uri,
                    content.tag,
                    content.size,
                    readers.audience(content),
                    content.url,
                    content.modified,
                    content.id,
                )

    def _readers(self, client: ConfluenceClient, known: dict[str, Content] | None = None) -> Readers:
        def find(content_id: str) -> Content:
            raw = next(_search(client, f"id = {content_id}", _LISTED), None)
            if raw is None:
                raise GoneMeanwhile(f"something above it ({content_id}) that we may not see")
            return self._content(client, raw)

        def members(group_id: str) -> frozenset[str]:
            return frozenset(map(_user_id, self._members(client, group_id)))

        spaces = {key: self._space(client, key) for key in self._spaces}
        return Readers(self.name, spaces, self._anonymous_readers, known or {}, find, members)

    def _space(self, client: ConfluenceClient, key: str) -> Space:
        if not self._account.cloud:
            permissions = client.json(f"rest/api/space/{key}/permissions")
            return _space((raw["operation"], raw["subject"]) for raw in permissions)
        space = next(client.pages("api/v2/spaces", keys=key), None)
        if space is None:
            raise SourceRefused(f"the space {key} is not there, or not for us")
        listed = client.pages(f"api/v2/spaces/{space['id']}/permissions", limit=250)
        return _space((raw["operation"], raw["principal"]) for raw in listed)

    def _members(self, client: ConfluenceClient, group_id: str) -> Iterator[dict[str, Any]]:
        what = "membersByGroupId" if self._account.cloud else "member"
        return client.pages(f"rest/api/group/{group_id}/{what}", limit=200)

    def _content(self, client: ConfluenceClient, raw: Mapping[str, Any]) -> Content:
        space, title, attached = raw["space"]["key"], raw["title"], raw["type"] == "attachment"
        named, complete = _restriction(raw, self._account.cloud)
        return Content(
            id=str(raw["id"]),
            space=space,
            uri=f"{space}/{raw['id']}/{title}" if attached else f"{space}/{raw['id']}.html",
            tag=str(raw["version"]["number"]),
            size=int(raw.get("extensions", {}).get("fileSize", 0)),
            url=client.address(raw["_links"]["webui"]),
            modified=datetime.fromisoformat(raw["version"]["when"]),
            above=(str(raw["container"]["id"]),)
            if attached
            else tuple(str(ancestor["id"]) for ancestor in raw["ancestors"]),
            attached=attached,
            named=named,
            complete=complete or attached,  # its container's count
        )

    def _person(self, user: Mapping[str, Any]) -> str:
        said = user.get("email") or user.get("username") or _user_id(user)
        return self._people.get(_user_id(user)) or str(said).lower()

    def _client(self) -> ConfluenceClient:
        return ConfluenceClient(self._account, self._longest_wait)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """When we last listed, and when all of it; seconds since the epoch, by our clock."""

    at: float
    whole: float

    @classmethod
    def read(cls, cursor: str) -> _Cursor | None:
        try:
            at, whole = json.loads(cursor)
            return cls(float(at), float(whole))
        except (ValueError, TypeError):
            return None

    def write(self) -> str:
        return json.dumps([self.at, self.whole])


def _search(client: ConfluenceClient, cql: str, expand: str) -> Iterator[dict[str, Any]]:
    return client.pages("rest/api/content/search", cql=cql, expand=expand, limit=_PAGE)


def _space(permissions: Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Space:
    """Return who may read a space. Cloud calls the operation "key" and gives ids, Data Center does not."""
    named, anonymous = set(), False
    for operation, subject in permissions:
        read = operation.get("key") or operation.get("operationKey")
        if (read, operation.get("targetType")) != ("read", "space"):
            continue
        match subject.get("type"):
            case "user" | "known":
                named.add(f"user:{subject.get('id') or _user_id(subject)}")
            case "group":
                named.add(f"group:{subject.get('id') or _group_id(subject, cloud=False)}")
            case "anonymous":
                anonymous = True
    return Space(frozenset(named), anonymous)


def _restriction(raw: Mapping[str, Any], cloud: bool) -> tuple[frozenset[str], bool]:
    """Return whom a read restriction names, and whether the answer names all of them."""
    try:
        read = raw["restrictions"]["read"]["restrictions"]
        users, groups = read["user"]["results"], read["group"]["results"]
        complete = len(users) < read["user"]["limit"] and len(groups) < read["group"]["limit"]
    except KeyError:  # not expanded: unknown
        return frozenset(), False
    named = [f"user:{_user_id(user)}" for user in users]
    return frozenset([*named, *(f"group:{_group_id(group, cloud)}" for group in groups)]), complete


def _user_id(user: Mapping[str, Any]) -> str:
    return str(user.get("accountId") or user.get("userKey") or user.get("username"))


def _group_id(group: Mapping[str, Any], cloud: bool) -> str:
    return str(group["id"] if cloud else group.get("name") or group["displayName"])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
