"""A Microsoft Graph with its login, as far as drives, their deltas, permissions, users and groups.

After the documentation of driveItem: delta, List permissions, Download, JSON batching, throttling, and the
OAuth 2.0 client credentials flow.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from kiban.testing.clouds.server import CloudServer, Request, Response

TENANT, CLIENT, SECRET = "contoso", "kiban", "a secret of nobody"
PREAUTHENTICATED = "let-me-in"


@dataclass
class Item:
    id: str
    name: str
    parent: str
    content: bytes | None = None  # None for a folder
    permissions: list[dict[str, Any]] | None = None  # None inherits
    changed: int = 0  # when, in the drive's own count
    version: int = 1
    deleted: bool = False


@dataclass
class Drive:
    """A document library; `put`, `share` and `delete` are what people do there."""

    site: str
    items: dict[str, Item] = field(default_factory=dict)
    count: int = 0
    too_old: int = 0  # deltas from before are gone

    def __post_init__(self) -> None:
        self.items["root-id"] = Item("root-id", "root", "", permissions=[])

    def put(self, id: str, name: str, content: bytes | None = None, parent: str = "root-id") -> None:
        old = self.items.get(id, Item(id, name, parent, content, version=0))
        version = old.version + (old.content != content or not old.version)
        self.items[id] = Item(id, name, parent, content, old.permissions, self._now(), version)

    def share(self, id: str, permissions: list[dict[str, Any]] | None) -> None:
        self.items[id].permissions = permissions
        self.items[id].changed = self._now()

    def delete(self, id: str) -> None:
        for child in [item.id for item in self.items.values() if item.parent == id and not item.deleted]:
            self.delete(child)
        self.items[id].deleted, self.items[id].changed = True, self._now()

    def effective(self, item: Item) -> list[dict[str, Any]]:
        if item.permissions is not None:
            return item.permissions
        above = self.items[item.parent]
        inherited = {"inheritedFrom": {"id": above.id}}
        return [{**permission, **inherited} for permission in self.effective(above)]

    def _now(self) -> int:
        self.count += 1
        return self.count


class GraphServer(CloudServer):
    """Speaks TLS with `certificate`, since msal does not speak without."""

    def __init__(self, certificate: Path, page_size: int = 200) -> None:
        super().__init__(certificate)
        self.page_size = page_size
        self.drives: dict[str, Drive] = {}
        self.sites: dict[str, str] = {}  # "host:/sites/NAME" -> id
        self.people: dict[str, dict[str, Any]] = {}  # by id
        self.one_drives: dict[str, str] = {}  # by user principal name
        self.groups: dict[str, list[str]] = {}  # id -> ids of people, however deep
        self.busy_in_batches = 0
        self._numbers = itertools.count(1)
        self.token_lasts = 1_000_000  # requests
        self._tokens: dict[str, int] = {}  # -> requests left

    @property
    def graph(self) -> str:
        return f"{self.url}/v1.0"

    def busy(self) -> Response:
        said = {"code": "TooManyRequests", "message": "Please retry again later."}
        return Response(429, {"error": said}, {"Retry-After": self.retry_after})

    def answer(self, request: Request) -> Response:
        if request.path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            names = ("authorize", "token")
            told = {f"{name}_endpoint": f"{self.url}/{TENANT}/oauth2/v2.0/{name}" for name in names}
            told["authorization_endpoint"] = told.pop("authorize_endpoint")
            return Response(body={**told, "issuer": f"{self.url}/{TENANT}/v2.0"})
        if request.path == f"/{TENANT}/oauth2/v2.0/token":
            return self._token(request.form())
        if request.path.startswith("/download/"):
            return self._download(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self._tokens[token] = self._tokens.get(token, 0) - 1
        if self._tokens[token] < 0:
            return _error(
                401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."
            )
        if request.path == "/v1.0/$batch":
            return self._batch(request)
        return self._get(request.path.removeprefix("/v1.0"), request)

    def _token(self, form: Mapping[str, str]) -> Response:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            wrong = "AADSTS7000215: Invalid client secret provided."
            return Response(401, {"error": "invalid_client", "error_description": wrong})
        if form.get("grant_type") != "client_credentials" or form.get("scope") != f"{self.url}/.default":
            return Response(400, {"error": "invalid_scope", "error_description": "AADSTS1002012"})
        token = f"token-{next(self._numbers)}"
        self._tokens[token] = self.token_lasts
        return Response(body={"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def _get(self, path: str, request: Request) -> Response:
        for pattern, handler in _ROUTES.items():
            if found := re.fullmatch(pattern, path):
                response: Response = handler(self, request, *found.groups())
                return response
        return _error(404, "itemNotFound", f"no {path}")

    def _batch(self, request: Request) -> Response:
        answers = []
        for asked in reversed(json.loads(request.body)["requests"]):  # in any order, as documented
            split = urlsplit(asked["url"])
            query = {name: values[-1] for name, values in parse_qs(split.query).items()}
            inner = Request(asked["method"], split.path, query, request.headers, b"")
            if self.busy_in_batches:
                self.busy_in_batches -= 1
                answer = self.busy()
            else:
                answer = self._get(split.path, inner)
            answers.append(
                {
                    "id": asked["id"],
                    "status": answer.status,
                    "headers": dict(answer.headers),
                    "body": answer.body,
                }
            )
        return Response(body={"responses": answers})

    def site(self, request: Request, path: str) -> Response:
        return Response(body={"id": self.sites[path]}) if path in self.sites else _error(404, "itemNotFound")

    def site_drives(self, request: Request, site: str) -> Response:
        return self._page(request, [{"id": id} for id, drive in self.drives.items() if drive.site == site])

    def one_drive(self, request: Request, user: str) -> Response:
        known = self.one_drives.get(user)
        return Response(body={"id": known}) if known else _error(404, "ResourceNotFound")

    def delta(self, request: Request, id: str) -> Response:
        drive = self.drives[id]
        since, _, upto = request.query.get("token", "0").partition("-")
        if since != "0" and int(since) < drive.too_old:
            location = f"{self.graph}/drives/{quote(id)}/root/delta?token=0"
            return _error(410, "resyncRequired", headers={"Location": location})
        offset = int(request.query.get("offset", 0))
        now = int(upto or drive.count)
        found = [
            item for item in drive.items.values() if int(since) < item.changed <= now or item.id == "root-id"
        ]
        if since == "0":
            found = [item for item in found if not item.deleted]
        part = found[offset : offset + self.page_size]
        here = f"{self.graph}/drives/{quote(id)}/root/delta?token="
        if offset + self.page_size < len(found):
            follows = {"@odata.nextLink": f"{here}{since}-{now}&offset={offset + self.page_size}"}
        else:
            follows = {"@odata.deltaLink": f"{here}{now}"}
        return Response(body={"value": [self._shown(id, item) for item in part], **follows})

    def children(self, request: Request, id: str, item: str) -> Response:
        drive, above = self.drives[id], "root-id" if item == "root" else item
        listed = [one for one in drive.items.values() if one.parent == above and not one.deleted]
        return self._page(request, [self._shown(id, one) for one in listed])

    def permissions(self, request: Request, id: str, item: str) -> Response:
        found = self.drives[id].items.get("root-id" if item == "root" else item)
        if found is None or found.deleted:
            return _error(404, "itemNotFound")
        return self._page(request, self.drives[id].effective(found))

    def item(self, request: Request, id: str, item: str) -> Response:
        found = self.drives[id].items.get(item)
        return (
            _error(404, "itemNotFound")
            if not found or found.deleted
            else Response(body=self._shown(id, found))
        )

    def content(self, request: Request, id: str, item: str) -> Response:
        found = self.drives[id].items.get(item)
        if found is None or found.deleted:
            return _error(404, "itemNotFound")
        there = f"{self.url}/download/{quote(id)}/{item}?tempauth={PREAUTHENTICATED}"
        return Response(302, b"", {"Location": there})

    def _download(self, request: Request) -> Response:
        if "authorization" in request.headers or request.query.get("tempauth") != PREAUTHENTICATED:
            return Response(401, b"")
        _, _, id, item = request.path.split("/")
        return Response(body=self.drives[id].items[item].content)

    def user_list(self, request: Request) -> Response:
        return self._page(request, list(self.people.values()))

    def group_list(self, request: Request) -> Response:
        return self._page(request, [{"id": group} for group in self.groups])

    def members(self, request: Request, group: str) -> Response:
        listed = [{"@odata.type": "#microsoft.graph.user", "id": id} for id in self.groups.get(group, ())]
        return self._page(request, listed) if group in self.groups else _error(404, "ResourceNotFound")

    def _page(self, request: Request, listed: list[dict[str, Any]]) -> Response:
        start = int(request.query.get("$skiptoken", 0))
        body: dict[str, Any] = {"value": listed[start : start + self.page_size]}
        if start + self.page_size < len(listed):
            path = request.path if request.path.startswith("/v1.0") else f"/v1.0{request.path}"
            body["@odata.nextLink"] = f"{self.url}{quote(path)}?$skiptoken={start + self.page_size}"
        return Response(body=body)

    def _shown(self, drive: str, item: Item) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": item.id, "parentReference": {"driveId": drive, "id": item.parent}}
        if item.deleted:
            return {**shown, "deleted": {"state": "deleted"}}
        shown |= {"name": item.name, "eTag": f"e{item.changed}", "webUrl": f"{self.url}/web/{item.id}"}
        shown |= {"lastModifiedDateTime": "2026-11-24T09:00:00Z", "size": len(item.content or b"")}
        if item.content is None:
            return {**shown, "folder": {"childCount": 0}, **({"root": {}} if item.id == "root-id" else {})}
        return {**shown, "file": {"mimeType": "text/plain"}, "cTag": f"c{item.version}"}


def granted(kind: str, id: str, role: str = "read", **identity: str) -> dict[str, Any]:
    """Return a permission of a user, group, siteUser or siteGroup."""
    return {"id": f"{kind}-{id}", "roles": [role], "grantedToV2": {kind: {"id": id, **identity}}}


def link(scope: str, *people: str) -> dict[str, Any]:
    """Return a sharing link."""
    named = [{"user": {"id": id}} for id in people]
    return {
        "id": f"link-{scope}",
        "roles": ["read"],
        "link": {"scope": scope, "type": "view", "webUrl": "https://1drv.example/x"},
        "grantedToIdentitiesV2": named,
    }


def _error(status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, {"error": {"code": code, "message": message}}, headers or {})


_ROUTES: dict[str, Any] = {
    r"/sites/([^/]+:/sites/[^/]+)": GraphServer.site,
    r"/sites/([^/]+)/drives": GraphServer.site_drives,
    r"/users/([^/]+)/drive": GraphServer.one_drive,
    r"/drives/([^/]+)/root/delta": GraphServer.delta,
    r"/drives/([^/]+)/items/([^/]+)/children": GraphServer.children,
    r"/drives/([^/]+)/items/([^/]+)/permissions": GraphServer.permissions,
    r"/drives/([^/]+)/items/([^/]+)/content": GraphServer.content,
    r"/drives/([^/]+)/items/([^/]+)": GraphServer.item,
    r"/users": GraphServer.user_list,
    r"/groups": GraphServer.group_list,
    r"/groups/([^/]+)/transitiveMembers": GraphServer.members,
}
