"""LiteLLM's proxy as a process, before one model server."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from kiban.errors import PartUnavailable

KEY = "sk-bench"
LONGEST_START = 240.0  # seconds
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR"}


@dataclass(frozen=True)
class Gateway:
    pid: int
    url: str


@contextmanager
def litellm(environment: Path, upstream: str, model: str) -> Iterator[Gateway]:
    """Start the proxy of an environment as its documentation begins: one worker, no database, one key."""
    listed = {
        "model_name": "kiban",
        "litellm_params": {"model": f"openai/{model}", "api_base": f"{upstream}/v1", "api_key": "none"},
    }
    with tempfile.TemporaryDirectory(prefix="kiban-gateway-") as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        config = Path(name) / "config.yaml"
        config.write_text(yaml.safe_dump({"model_list": [listed], "general_settings": {"master_key": KEY}}))
        command: list[str | Path] = [environment / "bin" / "litellm", "--config", config, "--port", str(port)]
        command += ["--host", "127.0.0.1", "--num_workers", "1"]
        log = Path(name) / "log"
        with (
            log.open("w") as out,
            subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, **QUIET}, cwd=name
            ) as process,
        ):
            try:
                _await_ready(f"http://127.0.0.1:{port}", process, log)
                yield Gateway(process.pid, f"http://127.0.0.1:{port}")
            finally:
                process.terminate()


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/health/liveliness", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise PartUnavailable(f"LiteLLM does not start: {log.read_text()[-500:]}", mend="make bench-chat")
