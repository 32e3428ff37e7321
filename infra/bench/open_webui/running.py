"""A house whose API notes what it is asked, and Open WebUI before it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request, Response
from free_port import find_free_port
from starlette.middleware.base import RequestResponseEndpoint

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from kiban.domain.question import Turn
from services.chat.app import create_app
from services.chat.testing import MemoryHouse, listening

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv-open-webui"
SENTENCE = "国内出張の宿泊費は11,000円を上限とする。"
MAIL, PASSWORD = "sato@example.jp", "only-for-this-run"
PATIENCE = 180  # seconds until it answers: it makes its database first


def _settings() -> dict[str, str]:
    lines = (ROOT / "infra" / "open-webui.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


SETTINGS = _settings()


@dataclass
class Asked:
    """Where the house answers, with whose token, and what it was asked."""

    url: str
    token: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def asked_house(folder: Path) -> Iterator[Asked]:
    """Serve a house of two documents, of which the second answers."""
    house = MemoryHouse(folder, {}, _write)
    house.pause = 0.1
    house.shelve("別表", frozenset({EVERYONE}), (Place(), "国内出張の日当は別表による。"))
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(page=3), SENTENCE))
    app = create_app(house, house.desk, house.kept, house.views, house.office, None, house.entry)
    noted = list[str]()

    async def note(request: Request, call: RequestResponseEndpoint) -> Response:
        body = await request.json() if request.method == "POST" else {}
        reply = await call(request)
        said = f"{request.method} {request.url.path} → {reply.status_code}"
        if body:
            tools = f", {len(body['tools'])} tools" if body.get("tools") else ""
            said += f": {' '.join(body['messages'][-1]['content'].split())[:60]!r}{tools}"
        noted.append(said)
        return reply

    app.middleware("http")(note)
    with listening(app) as url:
        yield Asked(url, house.token("sato"), noted)


def _write(turns: Sequence[Turn]) -> Sequence[str]:
    number = 1 + turns[-1].text.count("[2]", 0, turns[-1].text.find(SENTENCE))
    return ("上限は", "11,000円", "です。", f"「{SENTENCE}」", f"[{number}]")


@contextmanager
def open_webui(folder: Path, house: Asked, settings: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Run Open WebUI with nothing but these settings; give its address and version."""
    if not VENV.exists():
        sys.exit("Open WebUI is not there. Mend: python3 infra/setup --open-webui")
    port = find_free_port()
    own = {
        "DATA_DIR": str(folder),
        "WEBUI_SECRET_KEY": PASSWORD,
        "WEBUI_ADMIN_EMAIL": MAIL,
        "WEBUI_ADMIN_PASSWORD": PASSWORD,
        "OPENAI_API_BASE_URLS": f"{house.url}/v1",
        "OPENAI_API_KEYS": house.token,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
    }
    command = [VENV / "bin" / "open-webui", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=folder, env={**settings, **own}, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/health", running, folder / "log")
            yield f"http://127.0.0.1:{port}", _version()
        finally:
            running.terminate()
            running.wait()


def _wait(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and running.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    sys.exit(f"Open WebUI did not start:\n{log.read_text('utf-8', errors='replace')[-2000:]}")


def _version() -> str:
    asking = "from importlib.metadata import version; print(version('open-webui'))"
    asked = subprocess.run(
        [VENV / "bin" / "python", "-c", asking], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()
