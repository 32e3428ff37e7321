"""Who asks: signed tokens (JWT, RFC 7519), issued here or by an OpenID provider, verified by the same code.

A token proves a subject and nothing more. What the subject may read comes from the directory in Postgres.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from kiban.errors import IdentityError, PartUnavailable

LOCAL_ISSUER = "kiban"
ALGORITHMS = ("EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
LONGEST_TOKEN = 16_384  # characters
LEEWAY = 30  # seconds that two clocks may differ
KEYS_FRESH = 300.0  # seconds for which keys are not asked for again
KEYS_PAUSE = 10.0  # seconds between two looks for a key we do not know, however often strangers ask
FETCH_TIMEOUT = 5.0  # seconds


class LocalIssuer:
    """Issues tokens signed with an Ed25519 key of this house.

    The private key is readable by its owner alone; `jwks` is the public half, as JSON Web Key Set (RFC 7517).
    """

    def __init__(self, folder: Path) -> None:
        self._private = folder / "signing-key.pem"
        self.jwks = folder / "jwks.json"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _write_private(self._private, Ed25519PrivateKey.generate())
        except FileExistsError:
            pass  # made by an earlier run
        self._publish()

    def issue(self, subject: str, hours: float, audience: str) -> str:
        """Return a token that proves `subject` to `audience` for that many hours."""
        now = time.time()
        claims = {
            "iss": LOCAL_ISSUER,
            "sub": subject,
            "aud": audience,
            "iat": int(now),
            "exp": int(now + hours * 3600),
        }
        return jwt.encode(claims, self._key(), algorithm="EdDSA", headers={"kid": self._public()["kid"]})

    def _key(self) -> Ed25519PrivateKey:
        key = serialization.load_pem_private_key(self._private.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise IdentityError(f"{self._private} holds no Ed25519 key")
        return key

    def _public(self) -> dict[str, Any]:
        public: dict[str, Any] = OKPAlgorithm.to_jwk(self._key().public_key(), as_dict=True)
        return {**public, "kid": public["x"][:16], "alg": "EdDSA", "use": "sig"}

    def _publish(self) -> None:
        draft = self.jwks.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"keys": [self._public()]}))
        draft.replace(self.jwks)


class TokenVerifier:
    """Verifies tokens against the keys of one issuer: a JWKS file, or an OpenID provider by its URL."""

    def __init__(self, keys: Path | str, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = _Keys(_from_file(keys) if isinstance(keys, Path) else _from_provider(keys))

    def subject(self, token: str) -> str:
        """Return who the token proves. Raises IdentityError; PartUnavailable if the issuer is silent."""
        if len(token) > LONGEST_TOKEN:
            raise IdentityError("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.get(header.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # the key decides, not the token
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise IdentityError(str(error)) from error
        subject: str = claims["sub"]
        if not subject.strip():
            raise IdentityError("it names nobody")
        return subject


class _Keys:
    """The issuer's public keys, kept for a while and looked up again when an unknown one is named."""

    def __init__(self, fetch: Callable[[], jwt.PyJWKSet]) -> None:
        self._fetch = fetch
        self._known: dict[str | None, jwt.PyJWK] = {}
        self._fetched = -KEYS_FRESH
        self._lock = threading.Lock()

    def get(self, kid: str | None) -> jwt.PyJWK:
        with self._lock:
            age = time.monotonic() - self._fetched
            if age >= KEYS_FRESH or (kid not in self._known and age >= KEYS_PAUSE):
                self._known = {
                    key.key_id: key for key in self._fetch().keys if key.algorithm_name in ALGORITHMS
                }
                self._fetched = time.monotonic()
            if kid not in self._known:
                raise IdentityError("it is signed with a key its issuer does not publish")
            return self._known[kid]


def _from_file(path: Path) -> Callable[[], jwt.PyJWKSet]:
    def fetch() -> jwt.PyJWKSet:
        try:
            return jwt.PyJWKSet.from_json(path.read_text())
        except (OSError, ValueError, jwt.PyJWTError) as error:
            raise PartUnavailable(f"public keys in {path}: {error}") from error

    return fetch


def _from_provider(issuer: str) -> Callable[[], jwt.PyJWKSet]:
    """Find the keys by OpenID Connect Discovery 1.0."""

    def fetch() -> jwt.PyJWKSet:
        about = _get_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if about.get("issuer") != issuer:
            raise PartUnavailable(f"OpenID provider at {issuer} calls itself {about.get('issuer')!r}")
        try:
            return jwt.PyJWKSet.from_dict(_get_json(str(about.get("jwks_uri"))))
        except jwt.PyJWTError as error:
            raise PartUnavailable(f"OpenID provider at {issuer}: {error}") from error

    return fetch


def _get_json(url: str) -> dict[str, Any]:
    if not url.startswith(("https://", "http://")):
        raise PartUnavailable(f"OpenID provider: {url!r} is no web address")
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT) as response:
            document = json.load(response)
    except (OSError, ValueError) as error:
        raise PartUnavailable(f"OpenID provider at {url}: {error}") from error
    if not isinstance(document, dict):
        raise PartUnavailable(f"OpenID provider at {url} sent no JSON object")
    return document


def _write_private(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
