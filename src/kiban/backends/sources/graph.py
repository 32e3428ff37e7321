"""SharePoint's document libraries and people's OneDrives as a source (Microsoft Graph).

Each drive is followed by its delta. A folder whose readers changed is reported alone, and so is one that
moved, although everything below has other readers then: the cursor remembers a hash of every folder's
readers, and what lies below a folder with another one is listed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kiban.backends.sources.fetching import write
from kiban.backends.sources.graph_client import GraphClient, ResyncRequired
from kiban.backends.sources.graph_cursor import DriveState, GraphCursor
from kiban.backends.sources.graph_readers import GraphReaders
from kiban.backends.sources.graph_tokens import GraphAccount, GraphTokens
from kiban.backends.sources.patience import fetching, listing
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import PartUnavailable

_PREFER = (
    "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges, hierarchicalsharing"
)
_SELECT = (
    "$select=id,name,size,eTag,cTag,webUrl,lastModifiedDateTime,file,folder,root,deleted,parentReference"
)
_USERS = "/users?$select=id,mail,userPrincipalName,accountEnabled&$top=999"
_ROOT = {"id": "root", "folder": {}, "root": {}}  # asked for its readers every time: sites are not in a delta

Item = Mapping[str, Any]


class GraphSource:
    """The drives of the chosen sites ("host:/sites/NAME") and users.

    `groups` are the ids of the Entra groups to follow, all of the tenant's if there are none.
    """

    def __init__(
        self,
        name: str,
        account: GraphAccount,
        readers: GraphReaders,
        max_bytes: int,
        *,
        sites: Sequence[str] = (),
        users: Sequence[str] = (),
        groups: Sequence[str] = (),
        whole_every: float = 86_400.0,
        longest_wait: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._tokens = GraphTokens(account)
        self._readers = readers
        self._max_bytes = max_bytes
        self._sites = tuple(sites)
        self._users = tuple(users)
        self._groups = tuple(groups)
        self._whole_every = whole_every
        self._longest_wait = longest_wait
        self._clock = clock

    def listing(self, cursor: str = "") -> Listing:
        last, begin = GraphCursor.read(cursor), dict[str, str]()
        if last is not None and self._continues(last):
            try:
                return self._changes(last)
            except _Expired as expired:
                begin = expired.begin
        after = GraphCursor(self._clock(), self._readers.fingerprint())
        return Listing(self._everything(after, begin), cursor=after.write)

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        drive, item = listed.uri.split("/")
        path = f"/drives/{drive}/items/{item}"
        with self._client() as client:
            name = client.json(f"{path}?$select=id,name")["name"]
            with fetching(), client.download(f"{path}/content") as pieces:
                return write(pieces, listed, folder, name, self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        with listing(), self._client() as client:
            users = {user["id"]: user for user in client.values(_USERS) if user.get("accountEnabled", True)}
            ours = {id: self._readers.of_user(user) for id, user in users.items()}
            groups = self._groups or tuple(
                group["id"] for group in client.values("/groups?$select=id&$top=999")
            )
            paths = [f"/groups/{group}/transitiveMembers?$select=id&$top=999" for group in groups]
            for group, first in zip(groups, client.batch(paths), strict=True):
                for member in _all_values(client, first):
                    if member["id"] in ours:
                        ours[member["id"]].add(self._readers.of_group(group))
        return {_person(users[id]): frozenset(of) for id, of in ours.items()}

    def _drives(self, client: GraphClient) -> list[str]:
        drives: list[str] = []
        for site in self._sites:
            site_id = client.json(f"/sites/{site}?$select=id")["id"]
            drives += [drive["id"] for drive in client.values(f"/sites/{site_id}/drives?$select=id")]
        drives += [client.json(f"/users/{user}/drive?$select=id")["id"] for user in self._users]
        return list(dict.fromkeys(drives))

    def _continues(self, last: GraphCursor) -> bool:
        same = last.settings == self._readers.fingerprint()
        return same and last.whole <= self._clock() < last.whole + self._whole_every

    def _everything(self, after: GraphCursor, begin: Mapping[str, str]) -> Iterator[Listed]:
        """Yield all files, and remember in `after` what has been seen."""
        with listing(), self._client() as client:
            for drive in self._drives(client):
                state = after.drives[drive] = DriveState()
                try:
                    items = _collected(client, begin.get(drive) or _first(drive), state)
                except ResyncRequired as error:
                    raise PartUnavailable(f"the drive {drive} was reset while it was listed") from error
                yield from self._seen(client, drive, _there(items), state, [])

    def _changes(self, last: GraphCursor) -> Listing:
        """Return what happened. Raises _Expired when only a whole listing can tell."""
        after = GraphCursor(last.whole, last.settings)
        entries: dict[str, Listed] = {}
        gone: list[str] = []
        with listing(), self._client() as client:
            drives = self._drives(client)
            if not set(last.drives) <= set(drives):
                raise _Expired({})
            for drive in drives:
                state = after.drives[drive] = last.drives.get(drive, DriveState())
                try:
                    items = _collected(client, state.link or _first(drive), state)
                except ResyncRequired as error:
                    raise _Expired({drive: error.location}) from error
                found = self._changed(client, drive, [*_there(items), _ROOT], state)
                entries.update((entry.uri, entry) for entry in found)
                gone += [_uri(drive, id) for id, item in items.items() if "deleted" in item]
        left = tuple(uri for uri in gone if uri not in entries)
        return Listing(iter(entries.values()), whole=False, gone=left, cursor=after.write)

    def _changed(
        self, client: GraphClient, drive: str, items: list[Item], state: DriveState
    ) -> Iterator[Listed]:
        """Yield the files among some items, and all below the folders whose readers are others now."""
        seen: set[str] = set()
        while items:
            opened: list[str] = []
            yield from self._seen(client, drive, items, state, opened)
            items = []
            for folder in opened:
                if folder not in seen:
                    seen.add(folder)
                    items += client.values(f"/drives/{drive}/items/{folder}/children?{_SELECT}&$top=200")

    def _seen(
        self,
        client: GraphClient,
        drive: str,
        items: Sequence[Item],
        state: DriveState,
        opened: list[str],
    ) -> Iterator[Listed]:
        """Yield the files among some items; add to `opened` the folders whose readers are news."""
        wanted = [item for item in items if "file" in item or "folder" in item]
        paths = [f"/drives/{drive}/items/{item['id']}/permissions" for item in wanted]
        for item, first in zip(wanted, client.batch(paths), strict=True):
            audience = self._readers.audience(_all_values(client, first)) if first else NOBODY
            if "file" in item:
                yield _listed(drive, item, audience)
            elif state.note("root" if "root" in item else item["id"], audience.groups):
                opened.append(item["id"])

    def _client(self) -> GraphClient:
        return GraphClient(self._tokens, self._longest_wait)


class _Expired(Exception):
    """A delta cannot be continued; with the addresses at which drives want to begin again."""

    def __init__(self, begin: dict[str, str]) -> None:
        self.begin = begin


def _collected(client: GraphClient, link: str, state: DriveState) -> dict[str, Item]:
    """Return the items of a delta by id, and keep where to go on from. Where one comes twice, its last
    word counts, as the documentation asks."""
    items: dict[str, Item] = {}
    for page in client.delta(link, _PREFER):
        items.update((item["id"], item) for item in page["value"])
        state.link = page.get("@odata.deltaLink", "")
    if not state.link:
        raise PartUnavailable("a delta ended without saying where to go on")
    return items


def _there(items: Mapping[str, Item]) -> list[Item]:
    return [item for item in items.values() if "deleted" not in item]


def _listed(drive: str, item: Item, audience: Audience) -> Listed:
    """Return the line for a file. Its name belongs to the tag, as a title may be made of it."""
    return Listed(
        _uri(drive, item["id"]),
        f"{item.get('cTag') or item.get('eTag', '')} {item['name']}",
        item.get("size", 0),
        audience,
        item.get("webUrl", ""),
        datetime.fromisoformat(item["lastModifiedDateTime"]),
        _uri(drive, item["id"]),
    )


def _all_values(client: GraphClient, page: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Yield what stands on a page that came in a batch, and on those after it."""
    if page is not None:
        yield from page["value"]
        yield from client.values(page.get("@odata.nextLink", ""))


def _person(user: Mapping[str, Any]) -> str:
    return str(user.get("mail") or user["userPrincipalName"]).lower()


def _uri(drive: str, item: str) -> str:
    return f"{drive}/{item}"


def _first(drive: str) -> str:
    return f"/drives/{drive}/root/delta?{_SELECT}"
