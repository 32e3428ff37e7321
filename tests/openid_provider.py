"""A certified OpenID provider as a process of its own: npm's oidc-provider, installed when first needed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from free_port import find_free_port

HERE = Path(__file__).parent / "identity_provider"
NOWHERE = "http://127.0.0.1:1/login/back"


class OpenIdProcess:
    """The running provider. Anybody logs in there, with any password."""

    def __init__(self, port: int, back_to: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = ["node", "provider.mjs", str(port), back_to]
        self.start()

    def start(self) -> None:
        """Start it, with a key it has never had."""
        self._process = subprocess.Popen(
            self._command,
            cwd=HERE,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        while self._hear() != "ready":
            pass

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def token(self, resource: str = "https://kiban.example") -> str:
        """Return an access token of the service `wiki` for a resource; see provider.mjs."""
        reply = httpx.post(
            f"{self.url}/token",
            data={"grant_type": "client_credentials", "resource": resource},
            auth=("wiki", "wiki-secret"),
            trust_env=False,
        )
        return str(reply.raise_for_status().json()["access_token"])

    def tell(self, command: str) -> str:
        """Send a command, and return the id of the key that signs now."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        while not (said := self._hear()).startswith("key-"):
            pass
        return said

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the provider ended"
        return line.strip()


@contextmanager
def running(back_to: str = NOWHERE) -> Iterator[OpenIdProcess]:
    """Run a provider; skip the test where it cannot be had."""
    _install()
    provider = OpenIdProcess(find_free_port(), back_to)
    try:
        yield provider
    finally:
        provider.stop()


def _install() -> None:
    wanted, stamp = (HERE / "package-lock.json").read_text(), HERE / "node_modules" / ".kiban-stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("no node and npm on PATH (Debian: apt-get install nodejs npm)")
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"oidc-provider cannot be had: {done.stderr.strip()[-200:]}")
    stamp.write_text(wanted)
