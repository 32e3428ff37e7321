"""Who asks: signed tokens (JWT, RFC 7519), issued here or by an OpenID provider, verified by the same code.

A token proves a subject and nothing more. What the subject may read comes from the directory in Postgres.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from kiban.backends.openid_provider import Clock, IssuerKeys, OpenIdProvider, keys_in
from kiban.errors import IdentityError

LOCAL_ISSUER = "kiban"
LONGEST_TOKEN = 16_384  # characters
LEEWAY = 30.0  # seconds that two clocks may differ
# What a token may call itself (RFC 8725, 3.11). Others, such as logout tokens, are signed with the same keys.
TYPES = ("JWT", "AT+JWT", "APPLICATION/AT+JWT")


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
    """Verifies tokens against the keys of one issuer: a JWKS file, or an OpenID provider by its URL.

    `named_by` is the claim that holds what the directory calls a person.
    """

    def __init__(
        self,
        keys: Path | str,
        issuer: str,
        audience: str,
        *,
        named_by: str = "sub",
        leeway: float = LEEWAY,
        clock: Clock = time.monotonic,
    ) -> None:
        self._issuer, self._audience = issuer, audience
        self._named_by, self._leeway = named_by, leeway
        fetch = keys_in(keys) if isinstance(keys, Path) else OpenIdProvider(keys).keys
        self._keys = IssuerKeys(fetch, clock)

    def subject(self, token: str) -> str:
        """Return who the token proves. Raises IdentityError; PartUnavailable if the issuer is silent."""
        return self.named(self.claims(token))

    def claims(self, token: str) -> dict[str, Any]:
        """Return what a token says, once it is proven genuine, for us and in force. Raises as above."""
        if len(token) > LONGEST_TOKEN:
            raise IdentityError("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("typ", "JWT")).upper() not in TYPES:
                raise IdentityError("it is a token of another kind")
            key = self._keys.get(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # the key decides, not the token
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise IdentityError(str(error)) from error
        return claims

    def named(self, claims: dict[str, Any]) -> str:
        """Return the person whom verified claims name. Raises IdentityError."""
        name = claims.get(self._named_by)
        if not isinstance(name, str) or not name.strip():
            raise IdentityError("it names nobody")
        if "\0" in name or (not name.isascii() and name != name.encode("utf-8", "ignore").decode()):
            raise IdentityError("it names somebody in letters that cannot be kept")
        if self._named_by == "email" and claims.get("email_verified") is False:
            raise IdentityError("its issuer has not verified the address that it names")
        return name


def _write_private(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
