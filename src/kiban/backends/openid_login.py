"""Logging in at an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0, RFC 7636).

The code is exchanged by the server; neither code nor tokens reach the page.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client

from kiban.backends.openid_provider import FETCH_TIMEOUT, OpenIdProvider
from kiban.backends.tokens import TokenVerifier
from kiban.domain.credentials import Journey
from kiban.errors import IdentityError, PartUnavailable


class OpenIdLogin:
    """Sends people to their provider, and learns from what they bring back who they are.

    `verifier` takes ID tokens for this client. Without a secret the client is a public one.
    """

    def __init__(
        self,
        provider: OpenIdProvider,
        verifier: TokenVerifier,
        client: str,
        secret: str,
        back_to: str,
        scopes: str = "openid",
    ) -> None:
        self._provider, self._verifier = provider, verifier
        self._client, self._secret, self._back_to, self._scopes = client, secret, back_to, scopes

    def begin(self) -> tuple[str, Journey]:
        """Return where to send the browser, and what it must bring back. Raises PartUnavailable."""
        journey = Journey(*(secrets.token_urlsafe(32) for _ in range(3)))
        with self._oauth() as oauth:
            url, _ = oauth.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=journey.state,
                nonce=journey.nonce,
                code_verifier=journey.verifier,
            )
        return str(url), journey

    def finish(self, journey: Journey, brought: Mapping[str, str]) -> str:
        """Return who came back, from the query of the address they came to. Raises IdentityError,
        PartUnavailable."""
        if not hmac.compare_digest(brought.get("state", "").encode(), journey.state.encode()):
            raise IdentityError("the login did not begin in this browser")
        if "code" not in brought:
            raise IdentityError(f"the provider said: {brought.get('error', 'nothing')}")
        if brought.get("iss", self._provider.issuer) != self._provider.issuer:  # RFC 9207
            raise IdentityError("another provider answered")
        claims = self._verifier.claims(self._exchange(brought["code"], journey))
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), journey.nonce.encode()):
            raise IdentityError("the token is not of this login")
        if claims.get("azp", self._client) != self._client:
            raise IdentityError("the token was issued to another client")
        return self._verifier.named(claims)

    def _exchange(self, code: str, journey: Journey) -> str:
        endpoint = self._endpoint("token_endpoint")
        try:
            with self._oauth() as oauth:
                token = oauth.fetch_token(endpoint, code=code, code_verifier=journey.verifier)
        except AuthlibBaseError as error:
            raise IdentityError(f"the provider refused the code: {error.error}") from error
        except httpx2.HTTPError as error:
            raise PartUnavailable(f"OpenID provider at {endpoint}: {error}") from error
        return str(token.get("id_token", ""))

    def _endpoint(self, name: str) -> str:
        url = str(self._provider.about().get(name, ""))
        if not url.startswith(("https://", "http://")):
            raise PartUnavailable(f"OpenID provider at {self._provider.issuer} names no {name}")
        return url

    def _oauth(self) -> OAuth2Client:
        return OAuth2Client(
            self._client,
            self._secret or None,
            scope=self._scopes,
            redirect_uri=self._back_to,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            timeout=FETCH_TIMEOUT,
        )
