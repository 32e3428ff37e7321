"""Asking Google Drive and the Directory (google-api-python-client)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import google_auth_httplib2
import httplib2
from google.auth.exceptions import GoogleAuthError, RefreshError
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload

from kiban.backends.sources.drive_tokens import DIRECTORY, DRIVE, DriveTokens
from kiban.backends.sources.patience import NO_ANSWER, Patience, Reply
from kiban.errors import GoneMeanwhile, OversizeFile, PartUnavailable, SourceRefused, Withheld

_BUSY_REASONS = frozenset(("rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"))
_PIECE = 8 << 20  # bytes a request
_EVERYWHERE = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}

PERMISSION = (
    "id,type,emailAddress,domain,role,deleted,expirationTime,view,permissionDetails(inherited,inheritedFrom)"
)
FILE = (
    "id,name,mimeType,size,md5Checksum,modifiedTime,webViewLink,parents,driveId,trashed,"
    f"permissionIds,permissions({PERMISSION})"
)


class TokenExpired(Exception):
    """Changes since this token are no longer known."""


class DriveClient:
    """Drive and the Directory, as long as its `with` block runs."""

    def __init__(self, tokens: DriveTokens, longest_wait: float) -> None:
        self._tokens = tokens
        self._patience = Patience(
            (HttpError, GoogleAuthError, httplib2.HttpLib2Error, OSError), _reply_of, longest_wait
        )
        self._opened: list[google_auth_httplib2.AuthorizedHttp] = []
        drive = tokens.account.drive_url.rstrip("/")
        self._drive = self._service("drive", "v3", f"{drive}/drive/v3/", DRIVE)

    def __enter__(self) -> DriveClient:
        return self

    def __exit__(self, *_: object) -> None:
        for http in self._opened:
            http.close()

    def files(self, query: str, drive: str = "") -> Iterator[dict[str, Any]]:
        """Yield the files that a query finds, in one shared drive or wherever the account may look."""
        within = {"corpora": "drive", "driveId": drive} if drive else {}
        files = self._drive.files()
        fields = f"nextPageToken,incompleteSearch,files({FILE})"
        request = files.list(q=query, pageSize=1000, fields=fields, **within, **_EVERYWHERE)
        for page in self._pages(files, request):
            if page.get("incompleteSearch"):
                raise PartUnavailable("Drive has searched only a part of what it holds")
            yield from page["files"]

    def file(self, file: str, fields: str) -> dict[str, Any]:
        return self._ask(self._drive.files().get(fileId=file, fields=fields, supportsAllDrives=True))

    def permissions(self, file: str) -> list[dict[str, Any]]:
        """Return the permissions on a file, a folder or a shared drive."""
        permissions = self._drive.permissions()
        fields = f"nextPageToken,permissions({PERMISSION})"
        request = permissions.list(fileId=file, pageSize=100, fields=fields, supportsAllDrives=True)
        return [one for page in self._pages(permissions, request) for one in page["permissions"]]

    def now(self, drive: str) -> str:
        """Return the token from which changes follow, of a shared drive or ("") of all the account sees."""
        within = {"driveId": drive} if drive else {}
        answer = self._ask(self._drive.changes().getStartPageToken(supportsAllDrives=True, **within))
        return str(answer["startPageToken"])

    def changes(self, token: str, drive: str) -> tuple[list[dict[str, Any]], str]:
        """Return what changed since a token, and the token after it. Raises TokenExpired."""
        changes = self._drive.changes()
        fields = f"nextPageToken,newStartPageToken,changes(changeType,removed,fileId,driveId,file({FILE}))"
        within = {"driveId": drive} if drive else {}
        request = changes.list(pageToken=token, pageSize=1000, fields=fields, **within, **_EVERYWHERE)
        found: list[dict[str, Any]] = []
        try:
            for page in self._pages(changes, request):
                found += page["changes"]
                token = page.get("newStartPageToken", token)
        except (GoneMeanwhile, SourceRefused) as error:
            if isinstance(error.__cause__, HttpError) and error.__cause__.resp.status in (400, 404, 410):
                raise TokenExpired from error
            raise
        return found, token

    def download(self, file: str, mime: str = "") -> Iterator[bytes]:
        """Yield the bytes of a file, exported as `mime` if it is one of Google's own kinds. Raises a
        DocumentError where Drive refuses this file alone."""
        files = self._drive.files()
        if mime:
            request = files.export_media(fileId=file, mimeType=mime)
        else:
            request = files.get_media(fileId=file, supportsAllDrives=True)
        piece = io.BytesIO()
        download, done = MediaIoBaseDownload(piece, request, _PIECE), False
        while not done:
            _, done = self._patience.ask(f"file {file}", lambda: _downloaded(download))
            yield piece.getvalue()
            piece.seek(0)
            piece.truncate()

    def groups(self) -> Iterator[str]:
        directory = self._directory().groups()
        for page in self._pages(directory, directory.list(customer="my_customer", maxResults=200)):
            yield from (group["email"] for group in page.get("groups", ()))

    def members(self, group: str) -> Iterator[str]:
        """Yield the addresses of everyone in a group, and in groups within it."""
        members = self._directory().members()
        request = members.list(groupKey=group, includeDerivedMembership=True, maxResults=200)
        for page in self._pages(members, request):
            yield from (one["email"] for one in page.get("members", ()) if one.get("type") == "USER")

    def people(self) -> Iterator[str]:
        users = self._directory().users()
        for page in self._pages(users, users.list(customer="my_customer", maxResults=500)):
            yield from (user["primaryEmail"] for user in page.get("users", ()) if not user.get("suspended"))

    def _directory(self) -> Any:
        url = self._tokens.account.directory_url.rstrip("/")
        return self._service("admin", "directory_v1", f"{url}/", DIRECTORY)

    def _service(self, name: str, version: str, endpoint: str, scopes: tuple[str, ...]) -> Any:
        http = google_auth_httplib2.AuthorizedHttp(self._tokens.of(scopes), http=httplib2.Http(timeout=60))
        self._opened.append(http)
        options = {"api_endpoint": endpoint}
        return build(name, version, http=http, client_options=options, static_discovery=True)

    def _pages(self, collection: Any, request: Any) -> Iterator[dict[str, Any]]:
        while request is not None:
            page = self._ask(request)
            yield page
            request = collection.list_next(request, page)

    def _ask(self, request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._patience.ask(request.uri.partition("?")[0], request.execute)
        return answer


def _downloaded(download: MediaIoBaseDownload) -> tuple[Any, bool]:
    try:
        status, done = download.next_chunk()
    except HttpError as error:
        reason = _reason(error)
        if reason == "exportSizeLimitExceeded":
            raise OversizeFile("larger than Google exports") from error
        if error.resp.status == 403 and reason not in _BUSY_REASONS:
            raise Withheld(f"file {reason}") from error
        raise
    return status, done


def _reply_of(error: Exception) -> Reply:
    if isinstance(error, HttpError):
        reason = _reason(error)
        wait = error.resp.get("retry-after", "")
        return Reply(error.resp.status, reason, wait, busy=reason in _BUSY_REASONS)
    if isinstance(error, RefreshError) and not error.retryable:
        return Reply(401, f"no token: {error.args[0]}"[:300] if error.args else "no token")
    return Reply(NO_ANSWER, type(error).__name__)


def _reason(error: HttpError) -> str:
    details = error.error_details
    if isinstance(details, list) and details and isinstance(details[0], dict):
        return str(details[0].get("reason", ""))
    return str(error.reason or "")
