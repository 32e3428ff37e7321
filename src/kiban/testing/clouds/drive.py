"""A Google Drive with its Directory and its tokens, as far as files, changes, permissions and groups.

After the reference of Drive API v3 (files, changes, permissions, handling errors), of the Directory API, and
OAuth 2.0 for service accounts.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kiban.testing.clouds.server import CloudServer, Request, Response

FOLDER = "application/vnd.google-apps.folder"
DOCUMENT = "application/vnd.google-apps.document"
AUDIENCE = "https://oauth2.googleapis.com/token"  # of the assertion, wherever the token is asked for
LARGEST_EXPORT = 1_000  # bytes; Google's is ten million


@dataclass
class File:
    id: str
    name: str
    parent: str
    content: bytes = b""
    mime: str = "text/plain"
    permissions: list[dict[str, Any]] = field(default_factory=list)  # of its own
    trashed: bool = False
    modified: int = 0


class DriveServer(CloudServer):
    """`key` is what a service account is given; servers of one owner share it."""

    def __init__(self, page_size: int = 1000, owner: str = "us") -> None:
        super().__init__()
        self.page_size = page_size
        self.never_busy = ("/token",)
        self.files: dict[str, File] = {}
        self.drives: dict[str, list[dict[str, Any]]] = {}  # id -> permissions of its members
        self.log: list[tuple[str, str]] = []  # (id of the drive or "", id of the file)
        self.withheld: set[str] = set()  # files that may be listed but not downloaded
        self.forgotten = 0  # changes before are no longer known
        self.groups: dict[str, list[str]] = {}
        self.people: dict[str, bool] = {}  # address -> suspended
        self.throttle_by_403 = False
        self.tokens: set[str] = set()
        self._numbers = itertools.count(1)
        self._private = _pair(owner)

    @property
    def key(self) -> str:
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        said = {"type": "service_account", "client_email": "kiban@project.example", "private_key_id": "1"}
        return json.dumps({**said, "private_key": pem.decode(), "token_uri": f"{self.url}/token"})

    def put(self, id: str, name: str, parent: str, content: bytes = b"", mime: str = "text/plain") -> None:
        old = self.files.get(id, File(id, name, parent))
        self.files[id] = File(id, name, parent, content, mime, old.permissions, modified=next(self._numbers))
        self._changed(id)

    def share(self, id: str, *permissions: dict[str, Any]) -> None:
        """Grant on a file or folder, beside what it inherits; modifies nothing, but is a change."""
        self.files[id].permissions = list(permissions)
        self._changed(id)

    def trash(self, id: str) -> None:
        self.files[id].trashed = True
        self._changed(id)

    def delete(self, id: str) -> None:
        self._changed(id)
        del self.files[id]

    def busy(self) -> Response:
        if self.throttle_by_403:
            return _error(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
        return _error(429, "rateLimitExceeded", "Rate Limit Exceeded", {"Retry-After": self.retry_after})

    def answer(self, request: Request) -> Response:
        if request.path == "/token":
            return self._token(request.form())
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _error(401, "authError", "Invalid Credentials")
        for pattern, handler in _ROUTES.items():
            if found := re.fullmatch(pattern, request.path):
                response: Response = handler(self, request, *found.groups())
                return response
        return _error(404, "notFound", f"no {request.path}")

    def _token(self, form: Mapping[str, str]) -> Response:
        try:
            claims = jwt.decode(form["assertion"], self._private.public_key(), ["RS256"], audience=AUDIENCE)
        except (jwt.InvalidTokenError, KeyError):
            wrong = "Invalid JWT Signature."
            return Response(400, {"error": "invalid_grant", "error_description": wrong})
        token = f"token-{next(self._numbers)} {claims['scope']}"
        self.tokens.add(token)
        return Response(body={"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def list_files(self, request: Request) -> Response:
        query, drive = request.query["q"], request.query.get("driveId", "")
        parents = re.findall(r"'([^']+)' in parents", query)
        found = [
            self._shown(file)
            for file in self.files.values()
            if not self._is_trashed(file)
            and (not drive or self._drive_of(file) == drive)
            and (not parents or file.parent in parents)
            and ("mimeType !=" not in query or file.mime != FOLDER)
        ]
        return self._page(request, "files", found)

    def get_file(self, request: Request, id: str) -> Response:
        if id not in self.files:
            return _error(404, "notFound", f"File not found: {id}.")
        if request.query.get("alt") != "media":
            return Response(body=self._shown(self.files[id]))
        if id in self.withheld:
            return _error(403, "cannotDownloadFile", "This file cannot be downloaded by the user.")
        content, asked = (
            self.files[id].content,
            re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", "")),
        )
        if not asked or not content:
            return Response(body=content)
        start, end = int(asked[1]), min(int(asked[2]), len(content) - 1)
        part = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
        return Response(206, content[start : end + 1], part)

    def export(self, request: Request, id: str) -> Response:
        content = self.files[id].content
        if len(content) > LARGEST_EXPORT:
            return _error(403, "exportSizeLimitExceeded", "This file is too large to be exported.")
        return Response(body=request.query["mimeType"].encode() + b"\n" + content)

    def permissions(self, request: Request, id: str) -> Response:
        if id in self.drives:
            return self._page(request, "permissions", self.drives[id])
        if id not in self.files:
            return _error(404, "notFound", f"File not found: {id}.")
        return self._page(request, "permissions", self._effective(self.files[id]))

    def start(self, request: Request) -> Response:
        return Response(body={"startPageToken": str(len(self.log))})

    def changes(self, request: Request) -> Response:
        token, drive = int(request.query["pageToken"]), request.query.get("driveId", "")
        if token < self.forgotten:
            return _error(400, "invalid", "Invalid Value")
        part = self.log[token : token + self.page_size]
        found = [
            {"changeType": "file", "fileId": id, "removed": id not in self.files}
            | ({"file": self._shown(self.files[id])} if id in self.files else {})
            for of, id in part
            if not drive or of == drive
        ]
        more = token + len(part) < len(self.log)
        follows = {"nextPageToken" if more else "newStartPageToken": str(token + len(part))}
        return Response(body={"changes": found, **follows})

    def group_list(self, request: Request) -> Response:
        return self._page(request, "groups", [{"email": group} for group in self.groups])

    def members(self, request: Request, group: str) -> Response:
        listed = [{"email": one, "type": "USER", "role": "MEMBER"} for one in self.groups[group]]
        return self._page(request, "members", listed)

    def user_list(self, request: Request) -> Response:
        listed = [{"primaryEmail": one, "suspended": suspended} for one, suspended in self.people.items()]
        return self._page(request, "users", listed)

    def _page(self, request: Request, name: str, listed: list[dict[str, Any]]) -> Response:
        start = int(request.query.get("pageToken", 0))
        body: dict[str, Any] = {name: listed[start : start + self.page_size]}
        if start + self.page_size < len(listed):
            body["nextPageToken"] = str(start + self.page_size)
        return Response(body=body)

    def _shown(self, file: File) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": file.id,
            "name": file.name,
            "mimeType": file.mime,
            "modifiedTime": f"2026-11-24T09:{file.modified // 60:02}:{file.modified % 60:02}.000Z",
            "webViewLink": f"https://drive.example/{file.id}",
            "parents": [file.parent],
            "trashed": self._is_trashed(file),
            "permissionIds": [permission["id"] for permission in self._effective(file)],
        }
        if not file.mime.startswith("application/vnd.google-apps."):
            shown |= {"size": str(len(file.content)), "md5Checksum": f"md5-{hash(file.content)}"}
        if drive := self._drive_of(file):
            return {**shown, "driveId": drive}
        return {**shown, "permissions": self._effective(file)}

    def _effective(self, file: File) -> list[dict[str, Any]]:
        above = self.files.get(file.parent)
        inherited = self._effective(above) if above else self.drives.get(file.parent, [])
        return list({one["id"]: one for one in (*inherited, *file.permissions)}.values())

    def _is_trashed(self, file: File) -> bool:
        above = self.files.get(file.parent)
        return file.trashed or (above is not None and self._is_trashed(above))

    def _drive_of(self, file: File) -> str:
        above = self.files.get(file.parent)
        return self._drive_of(above) if above else file.parent if file.parent in self.drives else ""

    def _changed(self, id: str) -> None:
        self.log.append((self._drive_of(self.files[id]), id))


@cache
def _pair(owner: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def granted(kind: str, to: str = "", role: str = "reader", **more: Any) -> dict[str, Any]:
    """Return a permission for a user, group, domain or anyone."""
    named = {"user": {"emailAddress": to}, "group": {"emailAddress": to}, "domain": {"domain": to}}
    return {"id": f"{kind}-{to}", "type": kind, "role": role, **named.get(kind, {}), **more}


def _error(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return Response(status, {"error": {"code": status, "message": message, "errors": errors}}, headers or {})


_ROUTES: dict[str, Any] = {
    r"/drive/v3/files": DriveServer.list_files,
    r"/drive/v3/files/([^/]+)": DriveServer.get_file,
    r"/drive/v3/files/([^/]+)/export": DriveServer.export,
    r"/drive/v3/files/([^/]+)/permissions": DriveServer.permissions,
    r"/drive/v3/changes/startPageToken": DriveServer.start,
    r"/drive/v3/changes": DriveServer.changes,
    r"/admin/directory/v1/groups": DriveServer.group_list,
    r"/admin/directory/v1/groups/([^/]+)/members": DriveServer.members,
    r"/admin/directory/v1/users": DriveServer.user_list,
}
