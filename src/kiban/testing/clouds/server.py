"""What all local clouds share: a server in a thread that counts, throttles and forgets tokens."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # decoded
    query: Mapping[str, str]
    headers: Mapping[str, str]  # by lower-case name
    body: bytes

    def form(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: Any = None  # bytes are sent as they are, anything else as JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may hang up, as in life
            super().handle_error(request, client_address)


class CloudServer(ABC):
    """Answers on a free port of this machine while its `with` block runs.

    `throttle` makes the next requests answer 429 with `retry_after`; `break_on` makes every request whose
    path contains a text answer a status.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.asked: Counter[str] = Counter()  # by method and path
        self.throttle = 0
        self.retry_after = "0"
        self.never_busy: tuple[str, ...] = ()  # paths
        self.break_on: dict[str, int] = {}
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def requests(self, part: str = "") -> int:
        """Return how many requests were answered so far whose path contains `part`."""
        return sum(count for path, count in self.asked.items() if part in path)

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """Return what this cloud says."""

    def busy(self) -> Response:
        """Return what this cloud says when it is asked too often."""
        return Response(429, {"message": "Rate limit exceeded"}, {"Retry-After": self.retry_after})

    def _answered(self, request: Request) -> Response:
        self.asked[f"{request.method} {request.path}"] += 1
        for part, status in self.break_on.items():
            if part in request.path:
                return Response(status, {"message": "broken on purpose"})
        if self.throttle and request.path not in self.never_busy:
            self.throttle -= 1
            return self.busy()
        return self.answer(request)

    def _handler(cloud) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                split = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(split.query, True).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                request = Request(self.command, unquote(split.path), query, headers, body)
                self._send(cloud._answered(request))

            do_POST = do_GET

            def _send(self, response: Response) -> None:
                raw = isinstance(response.body, bytes)
                body = response.body if raw else json.dumps(response.body, ensure_ascii=False).encode()
                self.send_response(response.status)
                self.send_header("Content-Type", "application/octet-stream" if raw else "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
