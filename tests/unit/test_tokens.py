from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from kiban.backends.tokens import LOCAL_ISSUER, LocalIssuer, TokenVerifier
from kiban.errors import IdentityError, PartUnavailable


@pytest.fixture
def issuer(tmp_path: Path) -> LocalIssuer:
    return LocalIssuer(tmp_path / "keys")


@pytest.fixture
def verifier(issuer: LocalIssuer) -> TokenVerifier:
    return TokenVerifier(issuer.jwks, LOCAL_ISSUER, "kiban")


def encoded(part: dict[str, Any] | bytes) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    return {"iss": LOCAL_ISSUER, "sub": "sato", "aud": "kiban", "exp": time.time() + 60} | changes


def test_a_token_proves_its_subject(issuer: LocalIssuer, verifier: TokenVerifier) -> None:
    assert verifier.subject(issuer.issue("佐藤@nichirin.example", 1, "kiban")) == "佐藤@nichirin.example"


def test_the_private_key_is_its_owners_alone_and_outlives_a_restart(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    [private] = issuer.jwks.parent.glob("*.pem")
    assert private.stat().st_mode & 0o777 == 0o600
    assert "d" not in json.loads(issuer.jwks.read_text())["keys"][0]
    assert verifier.subject(LocalIssuer(private.parent).issue("sato", 1, "kiban")) == "sato"


@pytest.mark.parametrize(
    ("hours", "audience", "named"), [(-1.0, "kiban", "expired"), (1.0, "payroll", "Audience")]
)
def test_expired_tokens_and_tokens_for_others_are_refused(
    issuer: LocalIssuer, verifier: TokenVerifier, hours: float, audience: str, named: str
) -> None:
    with pytest.raises(IdentityError, match=named):
        verifier.subject(issuer.issue("sato", hours, audience))


def test_a_token_of_another_issuer_is_refused(issuer: LocalIssuer) -> None:
    elsewhere = TokenVerifier(issuer.jwks, "https://login.example", "kiban")
    with pytest.raises(IdentityError, match="issuer"):
        elsewhere.subject(issuer.issue("sato", 1, "kiban"))


def test_an_unsigned_token_is_refused(issuer: LocalIssuer, verifier: TokenVerifier) -> None:
    kid = jwt.get_unverified_header(issuer.issue("sato", 1, "kiban"))["kid"]
    for algorithm in ("none", "None", "nOnE", "HS256", "", None, 7):
        forged = f"{encoded({'alg': algorithm, 'kid': kid})}.{encoded(claims())}."
        with pytest.raises(IdentityError):
            verifier.subject(forged)


def test_the_public_key_does_not_work_as_a_shared_secret(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    [public] = json.loads(issuer.jwks.read_text())["keys"]
    raw = base64.urlsafe_b64decode(public["x"] + "=")
    for secret in (raw, public["x"].encode(), issuer.jwks.read_bytes()):
        message = f"{encoded({'alg': 'HS256', 'kid': public['kid']})}.{encoded(claims())}"
        signature = hmac.new(secret, message.encode(), hashlib.sha256).digest()
        with pytest.raises(IdentityError):
            verifier.subject(f"{message}.{encoded(signature)}")


def test_a_key_of_another_house_is_refused_under_any_name(
    issuer: LocalIssuer, verifier: TokenVerifier, tmp_path: Path
) -> None:
    stranger = LocalIssuer(tmp_path / "elsewhere")
    ours = jwt.get_unverified_header(issuer.issue("sato", 1, "kiban"))["kid"]
    with pytest.raises(IdentityError, match="does not publish"):
        verifier.subject(stranger.issue("sato", 1, "kiban"))
    _, body, signature = stranger.issue("sato", 1, "kiban").split(".")
    with pytest.raises(IdentityError, match="Signature"):
        verifier.subject(f"{encoded({'alg': 'EdDSA', 'kid': ours})}.{body}.{signature}")


@pytest.mark.parametrize(
    "garbage", ["", ".", "..", "a.b.c", "é.é.é", "x" * 20_000, "\x00", "null", "e30.e30.e30"]
)
def test_garbage_is_refused(verifier: TokenVerifier, garbage: str) -> None:
    with pytest.raises(IdentityError):
        verifier.subject(garbage)


@pytest.mark.parametrize("name", ["", " ", "sa\0to", "sato\ud800"])
def test_a_name_that_cannot_be_kept_is_refused(
    issuer: LocalIssuer, verifier: TokenVerifier, name: str
) -> None:
    with pytest.raises(IdentityError, match="names"):
        verifier.subject(issuer.issue(name, 1, "kiban"))


@pytest.mark.parametrize("missing", ["exp", "iss", "aud", "sub"])
def test_a_token_without_a_needed_claim_is_refused(
    issuer: LocalIssuer, verifier: TokenVerifier, missing: str
) -> None:
    said = {name: value for name, value in claims().items() if name != missing}
    [public] = json.loads(issuer.jwks.read_text())["keys"]
    forged = jwt.encode(said, issuer._key(), algorithm="EdDSA", headers={"kid": public["kid"]})
    with pytest.raises(IdentityError, match=missing):
        verifier.subject(forged)


def test_a_missing_key_file_is_the_houses_fault_not_the_askers(tmp_path: Path) -> None:
    with pytest.raises(PartUnavailable, match="jwks"):
        TokenVerifier(tmp_path / "jwks.json", LOCAL_ISSUER, "kiban").subject(forged_header())


def forged_header() -> str:
    return f"{encoded({'alg': 'EdDSA', 'kid': 'k'})}.{encoded(claims())}.{encoded(b'signature')}"


class Provider:
    """A small OpenID provider on loopback."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.asked = 0
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                about = {"issuer": provider.url, "jwks_uri": f"{provider.url}/keys"}
                body = about if "well-known" in self.path else {"keys": list(provider.keys.values())}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, kid: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        self.keys[kid] = algorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid}  # type: ignore[arg-type]


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever, args=(0.01,))
    thread.start()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()
    thread.join()


def test_a_provider_is_found_by_discovery_and_asked_once(provider: Provider) -> None:
    key = rsa.generate_private_key(65537, 2048)
    curve = ec.generate_private_key(ec.SECP256R1())
    provider.publish("rsa", key)
    provider.publish("ec", curve)
    verifier = TokenVerifier(provider.url, provider.url, "kiban")
    said = claims(iss=provider.url)
    for _ in range(3):
        assert verifier.subject(jwt.encode(said, key, algorithm="RS256", headers={"kid": "rsa"})) == "sato"
        assert verifier.subject(jwt.encode(said, curve, algorithm="ES256", headers={"kid": "ec"})) == "sato"
    assert provider.asked == 2  # discovery and keys


def test_strangers_cannot_make_us_ask_the_provider_again_and_again(provider: Provider) -> None:
    key = rsa.generate_private_key(65537, 2048)
    provider.publish("known", key)
    verifier = TokenVerifier(provider.url, provider.url, "kiban")
    for number in range(20):
        with pytest.raises(IdentityError):
            verifier.subject(jwt.encode(claims(), key, algorithm="RS256", headers={"kid": f"k{number}"}))
    assert provider.asked == 2


def test_a_shared_secret_in_the_providers_keys_is_not_used(provider: Provider) -> None:
    secret = b"x" * 32
    provider.keys["oct"] = {"kty": "oct", "kid": "oct", "alg": "HS256", "k": encoded(secret)}
    verifier = TokenVerifier(provider.url, provider.url, "kiban")
    forged = jwt.encode(claims(iss=provider.url), secret, algorithm="HS256", headers={"kid": "oct"})
    with pytest.raises(IdentityError, match="does not publish"):
        verifier.subject(forged)


def test_a_silent_provider_is_named() -> None:
    verifier = TokenVerifier("http://127.0.0.1:9", "http://127.0.0.1:9", "kiban")
    with pytest.raises(PartUnavailable, match=r"OpenID provider at http://127\.0\.0\.1:9"):
        verifier.subject(forged_header())
