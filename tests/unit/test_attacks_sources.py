"""Addresses and names that lead elsewhere lead nowhere, and what is a company's own can still be reached."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from kiban.backends.sources.addresses import Doorman
from kiban.backends.sources.safe_http import SafeHttp
from kiban.bench.attacks import sources
from kiban.bench.attacks.stage import Stage
from kiban.errors import OversizeFile, UnsafeAddress


def test_no_way_in_is_found_by_address(tmp_path: Path) -> None:
    figure = sources.ssrf(cast(Stage, SimpleNamespace(folder=tmp_path)))
    assert figure.passed, figure.note
    assert figure.trials >= 60


def test_no_way_out_is_found_by_name(tmp_path: Path) -> None:
    figure = sources.traversal(cast(Stage, SimpleNamespace(folder=tmp_path)))
    assert figure.passed, figure.value
    assert figure.trials >= 100


def test_an_attack_that_succeeds_would_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Doorman, "lets_in", lambda *_: True)
    figure = sources.ssrf(cast(Stage, SimpleNamespace(folder=tmp_path)))
    assert not figure.passed and int(figure.value.split()[0]) > 60


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("example.com", "93.184.215.14", ()),
        ("example.com", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", ()),
        ("intra.example.com", "10.0.0.1", ("intra.example.com",)),
        ("INTRA.example.com.", "fd12::1", ("intra.example.com",)),
        ("intra.example.com", "100.64.0.1", ("100.64.0.0/10",)),
        ("127.0.0.1", "127.0.0.1", ("127.0.0.1/32",)),
        ("64.example.com", "64:ff9b::5db8:d70e", ()),
    ],
)
def test_what_is_public_or_allowed_is_let_in(host: str, address: str, allowed: tuple[str, ...]) -> None:
    assert Doorman(allowed).lets_in(host, ip_address(address))


def test_only_the_host_that_was_named_may_be_private() -> None:
    assert not Doorman(["intra.example.com"]).lets_in("other.example.com", ip_address("10.0.0.1"))
    assert not Doorman(["10.1.0.0/16"]).lets_in("intra.example.com", ip_address("10.2.0.1"))


class _Net(httpx.BaseTransport):
    def __init__(self, *answers: httpx.Response) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answers.pop(0)


def _public(host: str, port: int) -> list[str]:
    return [sources.PUBLIC if host == "site.example" else sources.OTHER]


def test_the_connection_goes_to_the_checked_address_under_the_hosts_name() -> None:
    net = _Net(httpx.Response(200, stream=httpx.ByteStream(b"x")))
    answer = SafeHttp(Doorman(), resolve=_public, transport=net).get("https://site.example:8443/a?b=c#d")
    (request,) = net.asked
    assert (request.url.host, request.url.port, request.headers["host"]) == (
        sources.PUBLIC,
        8443,
        "site.example:8443",
    )
    assert request.extensions["sni_hostname"] == "site.example"
    assert (answer.body, answer.url) == (b"x", "https://site.example:8443/a?b=c")


def test_secrets_stay_with_their_origin() -> None:
    net = _Net(
        httpx.Response(302, headers={"Location": "https://other.example/"}, stream=httpx.ByteStream(b"")),
        httpx.Response(200, stream=httpx.ByteStream(b"x")),
    )
    http = SafeHttp(
        Doorman(), resolve=_public, transport=net, secret="Bearer t", secret_for=["https://site.example/"]
    )
    http.get("https://site.example/", {"Cookie": "c", "If-None-Match": "e"})
    first, second = net.asked
    assert (first.headers["authorization"], first.headers["cookie"]) == ("Bearer t", "c")
    assert "authorization" not in second.headers and "cookie" not in second.headers
    assert second.headers["if-none-match"] == "e"


def test_a_body_without_end_is_given_up() -> None:
    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield bytes(2**20)

    http = SafeHttp(Doorman(), resolve=_public, transport=_Net(httpx.Response(200, stream=Endless())))
    with pytest.raises(OversizeFile):
        http.get("http://site.example/")


def test_the_refusal_names_host_address_and_mend() -> None:
    http = SafeHttp(Doorman(), resolve=lambda host, port: ["10.0.0.1"])
    with pytest.raises(UnsafeAddress, match=r"wiki.example is 10.0.0.1.*private_hosts"):
        http.get("http://wiki.example/")
