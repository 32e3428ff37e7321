from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kiban.backends.vllm_adapters import VllmAdapters
from kiban.errors import PartUnavailable

Reply = Callable[[str, dict[str, Any]], tuple[int, Any]]


@contextmanager
def server(reply: Reply) -> Iterator[str]:
    """Serve what `reply` gives for (path, body), over a real socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond({})

        def do_POST(self) -> None:
            self.respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def respond(self, body: dict[str, Any]) -> None:
            status, content = reply(self.path, body)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def models(*names: str) -> dict[str, Any]:
    adapters = [{"id": name, "root": f"/shelf/{name}", "parent": "base"} for name in names]
    return {"data": [{"id": "base", "root": "/models/base", "parent": None}, *adapters]}


@contextmanager
def host(*urls: str) -> Iterator[VllmAdapters]:
    adapters = VllmAdapters(urls)
    yield adapters
    adapters.close()


def test_of_several_servers_an_adapter_counts_only_where_all_have_it() -> None:
    with (
        server(lambda path, body: (200, models("a@1", "b@1"))) as one,
        server(lambda path, body: (200, models("b@1"))) as other,
        host(one, other) as adapters,
    ):
        assert adapters.adapters() == {"b@1"}


def test_only_the_servers_that_lack_an_adapter_are_told_to_load_it() -> None:
    told: list[str] = []

    def replies(name: str, *held: str) -> Reply:
        def reply(path: str, body: dict[str, Any]) -> tuple[int, Any]:
            if path == "/v1/load_lora_adapter":
                assert body == {"lora_name": "a@1", "lora_path": "/shelf/a@1"}  # never load_inplace
                told.append(name)
                return 200, "Success"
            return 200, models(*held)

        return reply

    with (
        server(replies("has", "a@1")) as has,
        server(replies("lacks")) as lacks,
        host(has, lacks) as adapters,
    ):
        adapters.load("a@1", Path("/shelf/a@1"))
    assert told == ["lacks"]


def test_losing_a_race_to_load_the_same_content_is_no_error() -> None:
    held: list[str] = []

    def reply(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/load_lora_adapter":
            held.append("a@1")
            return 400, {"error": {"message": "The lora adapter 'a@1' has already been loaded."}}
        return 200, models(*held)

    with server(reply) as url, host(url) as adapters:
        adapters.load("a@1", Path("/shelf/a@1"))


def test_a_server_without_runtime_adapters_is_named_with_the_mend() -> None:
    def reply(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return (200, models()) if path == "/v1/models" else (404, {"detail": "Not Found"})

    with server(reply) as url, host(url) as adapters, pytest.raises(PartUnavailable, match="--enable-lora"):
        adapters.load("a@1", Path("/shelf/a@1"))


@pytest.mark.parametrize("reply", [(500, "Internal Server Error"), (200, "<html>a proxy</html>")])
def test_a_server_that_talks_nonsense_is_named(reply: tuple[int, str]) -> None:
    with server(lambda path, body: reply) as url, host(url) as adapters:
        with pytest.raises(PartUnavailable, match=url):
            adapters.adapters()


def test_a_dead_server_is_named() -> None:
    with server(lambda path, body: (200, models())) as url:
        pass
    with host(url) as adapters, pytest.raises(PartUnavailable, match=url):
        adapters.adapters()
