"""Fetching pages from addresses that strangers may have chosen (httpx).

A host is resolved once; if any of its addresses is none we may connect to, nothing is; the connection goes to
the address that was checked, under the host's name in Host and TLS. Every redirect is checked like the first
address, and a secret never goes to another origin. Size, expansion, time and redirects are bounded.
"""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import httpx

from kiban.backends.sources.addresses import Doorman
from kiban.errors import OversizeFile, PartUnavailable, UnsafeAddress

Resolve = Callable[[str, int], Sequence[str]]  # host, port -> addresses
_SECRETS = ("authorization", "cookie", "proxy-authorization")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Limits:
    bytes: int = 50_000_000
    expansion: int = 100  # times what came over the wire, once above a megabyte
    seconds: float = 60.0
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    url: str  # after redirects
    headers: Mapping[str, str]  # by lower-case name
    body: bytes = field(repr=False)


def resolve(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class SafeHttp:
    """Asks for pages with GET. `secret` is an Authorization header for the origins that may see it."""

    def __init__(
        self,
        doorman: Doorman,
        limits: Limits | None = None,
        *,
        agent: str = "Kiban",
        secret: str = "",
        secret_for: Iterable[str] = (),
        resolve: Resolve = resolve,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._doorman = doorman
        self._limits = limits or Limits()
        self._agent = agent
        self._secret = secret
        self._secret_for = {_origin(httpx.URL(url)) for url in secret_for}
        self._resolve = resolve
        self._transport = transport

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises UnsafeAddress, OversizeFile or PartUnavailable."""
        end = time.monotonic() + self._limits.seconds
        target, sent = parse(url), dict(headers or {})
        for _ in range(self._limits.redirects + 1):
            answer = self._once(target, sent, end)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            following = parse(str(target.join(location)))
            if _origin(following) != _origin(target):
                sent = {name: value for name, value in sent.items() if name.lower() not in _SECRETS}
            target = following
        raise PartUnavailable(f"{url}: more than {self._limits.redirects} redirects")

    def _once(self, url: httpx.URL, headers: Mapping[str, str], end: float) -> Answer:
        address = self._checked(url)
        sent = {"User-Agent": self._agent, "Accept-Encoding": "gzip", **headers, "Host": url.netloc.decode()}
        if self._secret and _origin(url) in self._secret_for:
            sent["Authorization"] = self._secret
        wait = max(0.1, min(10.0, end - time.monotonic()))
        try:
            with (
                httpx.Client(transport=self._transport, trust_env=False, timeout=wait) as client,
                client.stream(
                    "GET",
                    url.copy_with(host=address),
                    headers=sent,
                    extensions={"sni_hostname": url.host},
                    follow_redirects=False,
                ) as response,
            ):
                body = b"".join(self._bounded(response, end))
                return Answer(response.status_code, str(url), dict(response.headers), body)
        except httpx.HTTPError as error:
            raise PartUnavailable(f"{url}: {error or type(error).__name__}") from error

    def _checked(self, url: httpx.URL) -> str:
        """Return the one address to connect to. Raises UnsafeAddress."""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = self._resolve(url.host, port)
            addresses = [ip_address(each) for each in found]
        except (OSError, UnicodeError) as error:
            raise PartUnavailable(f"{url.host}: {error}") from error
        for address in addresses:
            if not self._doorman.lets_in(url.host, address):
                raise UnsafeAddress(
                    f"{url.host} is {address}.", mend="name it in `private_hosts` if it is yours"
                )
        if not addresses:
            raise PartUnavailable(f"{url.host} has no address")
        return str(addresses[0])

    def _bounded(self, response: httpx.Response, end: float) -> Iterator[bytes]:
        """Yield the body, unpacked by no more than the limits allow."""
        unpack, came, gave = _unpacker(response.headers.get("content-encoding", "identity")), 0, 0
        for piece in response.iter_raw(65536):
            if time.monotonic() > end:
                raise PartUnavailable(f"{response.url.host}: more than {self._limits.seconds:g} s")
            came += len(piece)
            for part in unpack(piece):
                gave += len(part)
                if gave > self._limits.bytes or gave > max(2**20, came * self._limits.expansion):
                    raise OversizeFile(f"{gave} bytes and more from {came}")
                yield part


def parse(url: str) -> httpx.URL:
    """Return an address of the web, its host in the one spelling. Raises UnsafeAddress."""
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise UnsafeAddress(f"{url!r}: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise UnsafeAddress(f"{url!r} is not an http or https address without a password")
    return parsed.copy_with(fragment=None)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _unpacker(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    """Return what undoes a content coding, a little at a time. Raises OversizeFile for those we never
    asked for: they unpack further than their length can tell."""
    if encoding.strip().lower() in ("", "identity"):
        return lambda piece: iter((piece,))
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise OversizeFile(f"sent as {encoding}, which was not asked for")
    gzip = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def unpack(piece: bytes) -> Iterator[bytes]:
        while piece:
            try:
                yield gzip.decompress(piece, 65536)
            except zlib.error as error:
                raise PartUnavailable(f"damaged gzip: {error}") from error
            piece = gzip.unconsumed_tail

    return unpack
