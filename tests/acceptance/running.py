"""A running house, used as a person would: by its command line and its API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import OpenAI

ROOT = Path(__file__).parents[2]
KIBAN = Path(sys.executable).with_name("kiban")
MODELS = {"KIBAN_LLM": "smollm2-135m-instruct", "KIBAN_EMBEDDER": "multilingual-e5-small"}
PORTS = ("chat", "postgres", "prefect", "mlflow", "vllm")


class CommandFailed(Exception):
    """A command of the line ended with an error."""


@dataclass(frozen=True)
class Stack:
    """A running house, used as a person would: by its command line and its API."""

    folder: Path
    environment: dict[str, str]

    @property
    def documents(self) -> Path:
        return self.folder / "documents"

    def kiban(self, *words: str) -> Any:
        """Run a command and return what it says as JSON. Raises CommandFailed with its message."""
        done = subprocess.run(
            [KIBAN, *words, "--json"],
            env={**os.environ, **self.environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(done.stdout + done.stderr)
        return json.loads(done.stdout)

    def client(self, person: str) -> OpenAI:
        """Return the unmodified OpenAI client, as a person of this house."""
        token = self.run("token", "--as", person).strip()
        url = f"http://127.0.0.1:{self.environment['KIBAN_CHAT_PORT']}/v1"
        return OpenAI(base_url=url, api_key=token, max_retries=0)

    def run(self, *words: str) -> str:
        return subprocess.run(
            [KIBAN, *words],
            env={**os.environ, **self.environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout


def fetch_models() -> dict[str, str]:
    """Fetch models to the checkout's own shelf, where the next run finds them."""
    names = list(MODELS.values())
    told = subprocess.run(
        [KIBAN, "models", "fetch", *names, "--json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = {model["name"]: model["path"] for model in json.loads(told.stdout)}
    return {setting: paths[name] for setting, name in MODELS.items()}


def free_ports() -> dict[str, int]:
    probes = {name: socket.create_server(("127.0.0.1", 0)) for name in PORTS}
    ports = {name: probe.getsockname()[1] for name, probe in probes.items()}
    for probe in probes.values():
        probe.close()
    return ports
