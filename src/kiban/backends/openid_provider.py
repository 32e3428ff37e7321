"""An OpenID provider, found by its URL (OpenID Connect Discovery 1.0), and the keys an issuer signs with.

Keys are looked up again when they grow old or when an unknown one is named, so that a provider may rotate
them while we run; but strangers who name keys that do not exist do not make us ask it again and again, and
while it is silent the keys that we know go on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt

from kiban.errors import IdentityError, PartUnavailable

# Asymmetric ones alone: a public key must never do as a shared secret, and "none" is no algorithm.
ALGORITHMS = ("EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
KEYS_FRESH = 300.0  # seconds for which keys are not asked for again
KEYS_PAUSE = 10.0  # seconds between two looks, however often somebody names a key we do not know
KEYS_LAST = 86_400.0  # seconds for which known keys go on while their issuer is silent
FETCH_TIMEOUT = 5.0  # seconds
LARGEST = 1_000_000  # bytes of a document of a provider's

log = logging.getLogger(__name__)
Clock = Callable[[], float]


class IssuerKeys:
    """The public keys of one issuer, by their ids."""

    def __init__(self, fetch: Callable[[], jwt.PyJWKSet], clock: Clock = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._known: dict[str | None, jwt.PyJWK] = {}
        self._fetched = self._tried = -KEYS_LAST
        self._failed: PartUnavailable | None = None  # what came of the last look, if nothing
        self._looking = threading.Lock()

    def get(self, kid: str | None) -> jwt.PyJWK:
        """Return a key. Raises IdentityError for one that is not published, PartUnavailable if that cannot be
        told because the issuer is silent."""
        if self._wants(kid) and self._looking.acquire(blocking=kid not in self._known):
            try:
                if self._wants(kid) and self._clock() - self._tried >= KEYS_PAUSE:
                    self._look()
            finally:
                self._looking.release()
        if kid in self._known and self._clock() - self._fetched < KEYS_LAST:
            return self._known[kid]
        if self._failed is not None:
            raise PartUnavailable(self._failed.detail)
        raise IdentityError("it is signed with a key its issuer does not publish")

    def _wants(self, kid: str | None) -> bool:
        return kid not in self._known or self._clock() - self._fetched >= KEYS_FRESH

    def _look(self) -> None:
        try:
            found = self._fetch().keys
        except PartUnavailable as error:
            log.warning("%s", error)
            self._failed = error
        else:
            self._known = {key.key_id: key for key in found if _signs(key)}
            self._failed, self._fetched = None, self._clock()
        self._tried = self._clock()


def _signs(key: jwt.PyJWK) -> bool:
    return key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")


def keys_in(path: Path) -> Callable[[], jwt.PyJWKSet]:
    """Return what reads a JSON Web Key Set (RFC 7517) from a file."""

    def fetch() -> jwt.PyJWKSet:
        try:
            return jwt.PyJWKSet.from_json(path.read_text())
        except (OSError, ValueError, jwt.PyJWTError) as error:
            raise PartUnavailable(f"public keys in {path}: {error}") from error

    return fetch


class OpenIdProvider:
    """What a provider says of itself, and its keys."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def about(self) -> dict[str, Any]:
        """Return its metadata. Raises PartUnavailable, also for one that calls itself otherwise."""
        about = self._get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if about.get("issuer") != self.issuer:
            raise PartUnavailable(f"OpenID provider at {self.issuer} calls itself {about.get('issuer')!r}")
        return about

    def keys(self) -> jwt.PyJWKSet:
        """Return what it signs with. Raises PartUnavailable."""
        try:
            return jwt.PyJWKSet.from_dict(self._get(str(self.about().get("jwks_uri"))))
        except jwt.PyJWTError as error:
            raise PartUnavailable(f"OpenID provider at {self.issuer}: {error}") from error

    def _get(self, url: str) -> dict[str, Any]:
        schemes = ("https://",) if self.issuer.startswith("https://") else ("https://", "http://")
        if not url.startswith(schemes):
            raise PartUnavailable(f"OpenID provider: {url!r} is no address that {self.issuer} may point at")
        try:
            with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT) as response:
                document = json.loads(response.read(LARGEST))
        except (OSError, ValueError) as error:
            raise PartUnavailable(f"OpenID provider at {url}: {error}") from error
        if not isinstance(document, dict):
            raise PartUnavailable(f"OpenID provider at {url} sent no JSON object")
        return document
