"""Who we are for Microsoft Graph: an application with a secret (msal), and the tokens it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msal
from requests import Response, Session

from kiban.backends.sources.patience import BUSY
from kiban.errors import SourceRefused

_TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True, slots=True)
class GraphAccount:
    """An app registration with application permissions. `ca_file` is for a proxy that opens TLS."""

    tenant: str
    client: str
    secret: str = field(repr=False)
    graph: str = "https://graph.microsoft.com/v1.0"
    login: str = "https://login.microsoftonline.com"
    ca_file: str = ""


class GraphTokens:
    """Keeps a token as long as it is good."""

    def __init__(self, account: GraphAccount) -> None:
        self.account = account
        self._application: msal.ConfidentialClientApplication | None = None

    def token(self, *, renew: bool) -> str:
        """Return a token, with `renew` another one than before. Raises SourceRefused."""
        if self._application is None:
            self._application = self._registered()
        if renew:
            self._application.remove_tokens_for_client()
        host = "/".join(self.account.graph.split("/")[:3])
        said = self._application.acquire_token_for_client([f"{host}/.default"])
        if "access_token" not in said:
            raise SourceRefused(f"no token: {said.get('error')}: {said.get('error_description', '')[:300]}")
        return str(said["access_token"])

    def _registered(self) -> msal.ConfidentialClientApplication:
        account = self.account
        try:
            return msal.ConfidentialClientApplication(
                account.client,
                client_credential=account.secret,
                authority=f"{account.login.rstrip('/')}/{account.tenant}",
                instance_discovery=False,  # the authority is ours to name, not Microsoft's to confirm
                http_client=_Login(trusting(account)),
            )
        except ValueError as error:  # what msal says of a tenant that is not there
            raise SourceRefused(f"the tenant {account.tenant}: {error}") from error


def trusting(account: GraphAccount) -> Session:
    """Return a session that trusts the account's `ca_file`."""
    session = _Session()
    session.verify = account.ca_file or True
    return session


class _Session(Session):
    """Trusts what it was told to trust, even where REQUESTS_CA_BUNDLE says otherwise."""

    def request(self, *args: Any, **options: Any) -> Response:
        if options.get("verify") is None:
            options["verify"] = self.verify
        return super().request(*args, **options)


class _Login:
    """What msal asks with. It would take a busy login for a tenant that is not there."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, url: str, **options: Any) -> Response:
        return self._patient(self._session.get(url, timeout=_TIMEOUT, **options))

    def post(self, url: str, **options: Any) -> Response:
        return self._patient(self._session.post(url, timeout=_TIMEOUT, **options))

    def _patient(self, response: Response) -> Response:
        if response.status_code in BUSY:
            response.raise_for_status()
        return response
