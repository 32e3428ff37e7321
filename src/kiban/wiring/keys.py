"""What proves who somebody is."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from kiban.backends.openid_provider import OpenIdProvider
from kiban.backends.passwords import Passwords
from kiban.backends.postgres.credentials import PostgresCredentials
from kiban.backends.pseudonyms import Pseudonyms
from kiban.backends.tokens import LOCAL_ISSUER, LocalIssuer, TokenVerifier
from kiban.wiring.stores import Stores

if TYPE_CHECKING:  # seconds to import each, and not every process needs them
    from kiban.backends.openid_login import OpenIdLogin


class Keys(Stores):
    """Issuers, verifiers and passwords."""

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        return Pseudonyms(self.settings.state / "identity")

    @cached_property
    def credentials(self) -> PostgresCredentials:
        return PostgresCredentials(self.postgres)

    @cached_property
    def passwords(self) -> Passwords:
        return Passwords()

    @cached_property
    def issuer(self) -> LocalIssuer:
        return LocalIssuer(self.settings.state / "identity")

    @cached_property
    def verifier(self) -> TokenVerifier:
        """Check tokens of the OIDC provider in the settings, or of this house, by the same code."""
        return self._verifier(self.settings.token_audience)

    @cached_property
    def openid_login(self) -> OpenIdLogin | None:
        """Return where people log in; none where they do so here, or bring their tokens."""
        settings = self.settings
        if settings.token_issuer is None or not settings.login_client:
            return None
        from kiban.backends.openid_login import OpenIdLogin

        page = settings.page_url or f"http://{settings.host}:{settings.chat_port}"
        return OpenIdLogin(
            OpenIdProvider(settings.token_issuer),
            self._verifier(settings.login_client),
            settings.login_client,
            settings.login_secret.get_secret_value(),
            f"{page}/login/back",
            settings.login_scopes,
        )

    def _verifier(self, audience: str) -> TokenVerifier:
        issuer, named_by = self.settings.token_issuer, self.settings.token_names
        if issuer is None:
            return TokenVerifier(self.issuer.jwks, LOCAL_ISSUER, audience)
        return TokenVerifier(issuer, issuer, audience, named_by=named_by)
