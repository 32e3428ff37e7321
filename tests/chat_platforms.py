"""The reply APIs of chat platforms on this machine: they note what they are told, and answer as told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Platform:
    """Answers each "METHOD path" with what `routes` says: JSON, or a function from the call to it."""

    routes: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    url: str = ""

    def to(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def told(self, call: Call) -> tuple[int, Any]:
        known = self.routes.get(f"{call.method} {call.path}")
        if known is None:
            return 404, {"error": call.path}
        return 200, known(call) if isinstance(known, Callable) else known  # type: ignore[arg-type]

    @contextmanager
    def listening(self) -> Iterator[str]:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                is_form = "urlencoded" in self.headers.get("Content-Type", "")
                body = parse_qs(sent.decode()) if is_form else json.loads(sent or b"null")
                call = Call(self.command, self.path.partition("?")[0], dict(self.headers), body)
                platform.calls.append(call)
                status, reply = platform.told(call)
                encoded = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            do_GET = do_POST = answer

            def log_message(self, *said: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self.url
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
