"""Who we are for Google: a service account (google-auth), and the tokens it is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.auth.exceptions import GoogleAuthError
from google.oauth2.service_account import Credentials

from kiban.errors import SourceRefused

DRIVE = ("https://www.googleapis.com/auth/drive.readonly",)
DIRECTORY = (
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
)


@dataclass(frozen=True, slots=True)
class DriveAccount:
    """A service account's key, and the person it acts as where a domain has allowed that."""

    key: Mapping[str, Any] = field(repr=False)
    subject: str = ""
    directory: bool = False  # whether groups are asked of the Directory, which needs a subject who may
    drive_url: str = "https://www.googleapis.com"
    directory_url: str = "https://admin.googleapis.com"

    @classmethod
    def from_key(cls, text: str, **options: Any) -> DriveAccount:
        """Take the JSON of a key. Raises SourceRefused."""
        try:
            return cls(json.loads(text), **options)
        except ValueError as error:
            raise SourceRefused("the key of the service account is not JSON") from error


class DriveTokens:
    """Keeps what the account is, with a token as long as it is good, for each set of scopes."""

    def __init__(self, account: DriveAccount) -> None:
        self.account = account
        self._credentials: dict[tuple[str, ...], Credentials] = {}

    def of(self, scopes: tuple[str, ...]) -> Credentials:
        """Raises SourceRefused, without repeating the key."""
        if scopes not in self._credentials:
            try:
                self._credentials[scopes] = Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                    self.account.key, scopes=scopes, subject=self.account.subject or None
                )
            except (ValueError, GoogleAuthError) as error:
                raise SourceRefused("the key of the service account cannot be used") from error
        return self._credentials[scopes]
