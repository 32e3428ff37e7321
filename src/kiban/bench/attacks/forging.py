"""Everything somebody may bring instead of a token that proves who they are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
ALGORITHMS = {"EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm, "ES256": ECAlgorithm}


@dataclass(frozen=True, slots=True)
class Forged:
    """One thing brought, as headers of a request."""

    kind: str
    headers: Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer that the house believes, with its private key: what it signs is genuine."""

    url: str
    algorithm: str
    key: PrivateKey
    kid: str

    @classmethod
    def new(cls, url: str, algorithm: str) -> Issuer:
        return cls(url, algorithm, _new_key(algorithm), f"{algorithm}-{secrets.token_hex(4)}")

    @property
    def public(self) -> dict[str, Any]:
        """Return the JSON Web Key that it publishes."""
        jwk = ALGORITHMS[self.algorithm].to_jwk(self.key.public_key(), as_dict=True)  # type: ignore[attr-defined]
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def claims(self, subject: str = "reader", **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        said = {"iss": self.url, "sub": subject, "aud": "kiban", "iat": now, "exp": now + 600, **changes}
        return {name: value for name, value in said.items() if value is not None}

    def sign(self, claims: dict[str, Any], key: PrivateKey | None = None, **header: Any) -> str:
        return jwt.encode(claims, key or self.key, self.algorithm, headers={"kid": self.kid, **header})


def forgeries(issuer: Issuer, other: Issuer) -> Iterator[Forged]:
    """Yield one of every kind. `other` is an issuer that the house does not believe, or not any more."""
    for kind, token in _tokens(issuer, other):
        yield Forged(kind, {"Authorization": f"Bearer {token}".encode()})
    good = issuer.sign(issuer.claims())
    for kind, headers in {
        "no header": {},
        "an empty bearer": {"Authorization": "Bearer"},
        "another scheme": {"Authorization": f"Basic {good}"},
        "no scheme": {"Authorization": good},
        "a proxy's header": {
            "X-Forwarded-User": "reader",
            "X-Remote-User": "reader",
            "Remote-User": "reader",
        },
        "a cookie of another name": {"Cookie": f"token={good}; Authorization={good}"},
        "a forged session": {"Cookie": "kiban-session=kbn_000000000000_x; __Host-kiban-session=kbn_0_x"},
        "a client certificate's header": {"X-SSL-Client-S-DN": "CN=reader", "X-Client-Verify": "SUCCESS"},
    }.items():
        yield Forged(kind, headers)


def _tokens(issuer: Issuer, other: Issuer) -> Iterator[tuple[str, str]]:
    good = issuer.sign(issuer.claims())
    head, body, signature = good.split(".")
    mighty = issuer.claims("curator", groups=["curators", "hr"])
    for name in ("none", "None", "NONE", "nOnE", "", "HS256", "RS512", "PS256"):
        header = {"alg": name, "kid": issuer.kid, "typ": "JWT"}
        yield f"alg={name or 'empty'}, unsigned", f"{_coded(header)}.{body}."
        yield f"alg={name or 'empty'}, its old signature", f"{_coded(header)}.{body}.{signature}"
    yield "no alg", f"{_coded({'kid': issuer.kid})}.{body}.{signature}"
    for kind, secret in _public_as_secret(issuer).items():
        message = f"{_coded({'alg': 'HS256', 'kid': issuer.kid, 'typ': 'JWT'})}.{_coded(mighty)}"
        yield kind, f"{message}.{_text(hmac.digest(secret, message.encode(), hashlib.sha256))}"
    yield "another person, the old signature", f"{head}.{_coded(mighty)}.{signature}"
    yield "the signature cut off", f"{head}.{body}."
    yield "the signature of another token", f"{head}.{body}.{issuer.sign(mighty).split('.')[2]}"
    yield "the signature changed", f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield from _wrong_claims(issuer)
    yield from _wrong_keys(issuer, other)
    for kind in ("logout+jwt", "dpop+jwt", "JWE", "secevent+jwt"):
        yield f"typ={kind}", issuer.sign(issuer.claims(), typ=kind)
    yield "an unknown crit", issuer.sign(issuer.claims(), crit=["exp2"], exp2=1)
    yield from {
        "four parts": f"{good}.{signature}",
        "five parts": f"{good}.{signature}.{signature}",
        "two parts": f"{head}.{body}",
        "no JSON inside": f"{_text(b'x')}.{_text(b'x')}.{signature}",
        "a list inside": f"{head}.{_text(b'[]')}.{signature}",
        "other letters": "é.é.é",
        "half of it": good[: len(good) // 2],
        "too long": good + "A" * 20_000,
        "twice": f"{good}, {good}",
        "in quotes": f'"{good}"',
    }.items()


def _wrong_claims(issuer: Issuer) -> Iterator[tuple[str, str]]:
    now = time.time()
    changed: dict[str, dict[str, Any]] = {
        "another audience": {"aud": "payroll"},
        "other audiences": {"aud": ["payroll", "wiki"]},
        "an audience that begins like ours": {"aud": "kiban2"},
        "no audience": {"aud": None},
        "expired": {"exp": now - 60},
        "expired long ago": {"exp": 1},
        "no expiry": {"exp": None},
        "an expiry in words": {"exp": "never"},
        "not yet valid": {"nbf": now + 600},
        "issued tomorrow": {"iat": now + 86_400},
        "another issuer": {"iss": "https://evil.example"},
        "an issuer with a slash more": {"iss": f"{issuer.url}/"},
        "no issuer": {"iss": None},
        "no subject": {"sub": None},
        "a blank subject": {"sub": " "},
    }
    for kind, changes in changed.items():
        yield kind, issuer.sign(issuer.claims(**changes))
    for kind, subject in {"a number": 7, "a list": ["reader"], "an object": {"name": "reader"}}.items():
        said = json.dumps({**issuer.claims(), "sub": subject}).encode()  # PyJWT itself issues none such
        signed = jwt.api_jws.encode(said, issuer.key, issuer.algorithm, headers={"kid": issuer.kid})
        yield f"{kind} as subject", signed


def _wrong_keys(issuer: Issuer, other: Issuer) -> Iterator[tuple[str, str]]:
    claims = issuer.claims("curator")
    for kind, kid in {
        "a stranger's key under our kid": issuer.kid,
        "a stranger's key under its own kid": other.kid,
        "a file as kid": "../../../../dev/null",
        "SQL as kid": "x' union select 'key",
        "an empty kid": "",
    }.items():
        yield kind, issuer.sign(claims, other.key, kid=kid)
        yield f"{kind}, jwk in the header", issuer.sign(claims, other.key, kid=kid, jwk=other.public)
        yield f"{kind}, jku in the header", issuer.sign(claims, other.key, kid=kid, jku=f"{other.url}/keys")
        yield f"{kind}, x5u in the header", issuer.sign(claims, other.key, kid=kid, x5u=f"{other.url}/x5c")
    yield "a good signature under an unknown kid", issuer.sign(claims, kid="nobody's")


def _public_as_secret(issuer: Issuer) -> dict[str, bytes]:
    public = issuer.key.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(issuer.public).encode()
    found = {"PEM": pem, "PEM without its last line end": pem.strip(), "DER": der, "JWK": jwk, "nothing": b""}
    return {f"HS256 with {kind} as its secret": secret for kind, secret in found.items()}


@contextmanager
def publishing(issuers: list[Issuer]) -> Iterator[str]:
    """Serve discovery and keys of OpenID issuers; yield the address. The list may be filled meanwhile."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = f"http://127.0.0.1:{server.server_port}"
            keys = {"keys": [issuer.public for issuer in issuers]}
            about = {"issuer": url, "jwks_uri": f"{url}/keys"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(about if "well-known" in self.path else keys).encode())

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _new_key(algorithm: str) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def _coded(part: dict[str, Any]) -> str:
    return _text(json.dumps(part).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
