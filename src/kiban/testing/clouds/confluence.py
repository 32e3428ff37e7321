"""A Confluence, Cloud or Data Center, as far as listing what a space holds and who may read it.

After the REST API's documentation: v1 search, restrictions and groups; v2 spaces and permissions (Cloud).
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from kiban.testing.clouds.server import CloudServer, Request, Response

USER, TOKEN = "reader@example.com", "a token of nobody"


@dataclass(frozen=True)
class Thing:
    """A page, blog post or attachment."""

    id: str
    kind: str
    space: str
    title: str
    body: str  # storage format; what an attachment holds
    parent: str = ""
    version: int = 1
    modified: float = 0.0
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()


@dataclass
class SpaceState:
    name: str
    readers: list[tuple[str, str]] = field(default_factory=list)  # ("group" | "user" | "anonymous", id)


class ConfluenceServer(CloudServer):
    """State is plain: change `spaces`, `things` and `groups`, and the next request shows it."""

    def __init__(self, *, cloud: bool = True, page_size: int = 100) -> None:
        super().__init__()
        self.cloud = cloud
        self.page_size = page_size
        self.spaces: dict[str, SpaceState] = {}
        self.things: dict[str, Thing] = {}
        self.groups: dict[str, list[str]] = {}
        self.emails: dict[str, str] = {}  # by account id; nobody else's is shown
        self.context = "/wiki" if cloud else "/confluence"

    def put(self, thing: Thing) -> None:
        """Create or change; a change of the body is a new version."""
        old = self.things.get(thing.id)
        if old is not None and old.body != thing.body:
            thing = replace(thing, version=old.version + 1)
        self.things[thing.id] = replace(thing, modified=thing.modified or time.time())

    def restrict(self, id: str, *, users: Sequence[str] = (), groups: Sequence[str] = ()) -> None:
        """Change who may read, which modifies nothing."""
        self.things[id] = replace(self.things[id], users=frozenset(users), groups=frozenset(groups))

    def answer(self, request: Request) -> Response:
        expected = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") not in (f"Basic {expected}", f"Bearer {TOKEN}"):
            return Response(401, {"message": "Unauthorized; scope does not match"})
        path = request.path.removeprefix(self.context)
        for pattern, handler in _ROUTES.items():
            if found := re.fullmatch(pattern, path):
                response: Response = handler(self, request, *found.groups())
                return response
        return Response(404, {"statusCode": 404, "message": f"no {path}"})

    def search(self, request: Request) -> Response:
        cql = request.query["cql"]
        chosen = [self._shown(thing) for thing in self.things.values() if _matches(thing, cql)]
        return self._page(request, chosen, "/rest/api/content/search")

    def space_permissions(self, request: Request, key: str) -> Response:
        if key not in self.spaces:
            return Response(404, {"message": "no space"})
        subjects = {"user": "known", "group": "group", "anonymous": "anonymous"}
        return Response(
            body=[
                {
                    "operation": {"targetType": target, "operationKey": "read"},
                    "subject": {"type": subjects[kind], "displayName": id, "userKey": id},
                    "spaceKey": key,
                }
                for kind, id in self.spaces[key].readers
                for target in ("space", "page")
            ]
        )

    def v2_spaces(self, request: Request) -> Response:
        key = request.query["keys"]
        found = [{"id": f"9{key}", "key": key, "name": self.spaces[key].name}] if key in self.spaces else []
        return Response(body={"results": found, "_links": {"base": self.url + self.context}})

    def v2_permissions(self, request: Request, id: str) -> Response:
        listed = [
            {
                "id": "1",
                "principal": {"type": kind, "id": of},
                "operation": {"key": "read", "targetType": "space"},
            }
            for kind, of in self.spaces[id[1:]].readers
        ]
        writes = {"key": "create", "targetType": "page"}
        other = {"id": "2", "principal": {"type": "user", "id": "writer"}, "operation": writes}
        return self._page(request, [other, *listed], f"{self.context}/api/v2/spaces/{id}/permissions")

    def group_list(self, request: Request) -> Response:
        listed = [self._group(group) for group in self.groups]
        return self._page(request, listed, "/rest/api/group")

    def group_members(self, request: Request, group: str, what: str) -> Response:
        if group not in self.groups or (what == "membersByGroupId") != self.cloud:
            return Response(404, {"message": "no group"})
        listed = [self._user(user) for user in self.groups[group]]
        return self._page(request, listed, f"/rest/api/group/{group}/{what}")

    def download(self, request: Request, id: str) -> Response:
        if id not in self.things:
            return Response(404, {"message": "no attachment"})
        return Response(body=self.things[id].body.encode())

    def _page(self, request: Request, listed: list[dict[str, Any]], path: str) -> Response:
        """Answer a part of a list: Cloud names what follows by a cursor, Data Center by a number."""
        start = int(request.query.get("cursor" if self.cloud else "start", 0))
        limit = min(int(request.query.get("limit", 25)), self.page_size)
        links = {"base": self.url + self.context, "context": self.context}
        if start + limit < len(listed):
            kept = {name: value for name, value in request.query.items() if name not in ("cursor", "start")}
            kept["cursor" if self.cloud else "start"] = str(start + limit)
            links["next"] = f"{path}?{urlencode(kept)}"
        part = listed[start : start + limit]
        return Response(
            body={"results": part, "start": start, "limit": limit, "size": len(part), "_links": links}
        )

    def _shown(self, thing: Thing) -> dict[str, Any]:
        where = f"/spaces/{thing.space}/pages/{thing.id}"
        read = {
            "user": {"results": [self._user(user) for user in sorted(thing.users)], "limit": 200},
            "group": {"results": [self._group(group) for group in sorted(thing.groups)], "limit": 200},
        }
        when = datetime.fromtimestamp(thing.modified, UTC).isoformat(timespec="milliseconds")
        shown: dict[str, Any] = {
            "id": thing.id,
            "type": thing.kind,
            "status": "current",
            "title": thing.title,
            "space": {"key": thing.space, "name": self.spaces[thing.space].name},
            "version": {"number": thing.version, "when": when.replace("+00:00", "Z")},
            "restrictions": {"read": {"operation": "read", "restrictions": read}},
            "metadata": {"labels": {"results": [{"name": label} for label in thing.labels]}},
            "body": {"storage": {"value": thing.body, "representation": "storage"}},
            "_links": {"webui": where, "self": f"{self.url}{self.context}/rest/api/content/{thing.id}"},
        }
        if thing.kind == "attachment":
            shown["container"] = {"id": thing.parent, "type": "page"}
            shown["extensions"] = {"fileSize": len(thing.body.encode())}
            shown["_links"]["download"] = f"/download/attachments/{thing.id}?version={thing.version}"
        else:
            shown["ancestors"] = [{"id": id} for id in self._above(thing)]
        return shown

    def _above(self, thing: Thing) -> list[str]:
        parent = self.things.get(thing.parent)
        return [] if parent is None else [*self._above(parent), parent.id]

    def _user(self, id: str) -> dict[str, Any]:
        if self.cloud:
            return {"type": "known", "accountId": id, "email": self.emails.get(id, ""), "displayName": id}
        return {"type": "known", "username": self.emails.get(id, id), "userKey": id, "displayName": id}

    def _group(self, id: str) -> dict[str, Any]:
        return {"type": "group", "name": id, **({"id": id} if self.cloud else {})}


def _matches(thing: Thing, cql: str) -> bool:
    if found := re.fullmatch(r"id = (\S+)", cql):
        return thing.id == found[1]
    spaces = re.search(r"space in \(([^)]*)\)", cql)
    kinds = re.search(r"type in \(([^)]*)\)", cql)
    since = re.search(r'lastmodified >= now\("-(\d+)m"\)', cql)
    assert spaces and kinds, f"cannot read {cql!r}"
    return (
        f'"{thing.space}"' in spaces[1].split(", ")
        and thing.kind in kinds[1].split(", ")
        and (since is None or thing.modified >= time.time() - 60 * int(since[1]))
    )


_ROUTES: dict[str, Any] = {
    "/rest/api/content/search": ConfluenceServer.search,
    "/rest/api/space/([^/]+)/permissions": ConfluenceServer.space_permissions,
    "/api/v2/spaces": ConfluenceServer.v2_spaces,
    "/api/v2/spaces/([^/]+)/permissions": ConfluenceServer.v2_permissions,
    "/rest/api/group": ConfluenceServer.group_list,
    "/rest/api/group/([^/]+)/(member|membersByGroupId)": ConfluenceServer.group_members,
    "/download/attachments/([^/]+)": ConfluenceServer.download,
}
