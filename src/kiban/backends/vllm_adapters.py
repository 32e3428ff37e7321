"""LoRA adapters in running vLLM servers, over HTTP.

What vLLM 0.32 does, and what follows: its list of adapters lives in the memory of one server, so every server
is asked; loading answers 400 for a name it knows, so the path behind that name is compared; unloading never
reaches the engine and loading in place reloads from disk on every step, so neither exists here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from kiban.errors import BadWeights, PartUnavailable

FIRST_ANSWER_SECONDS = 120.0  # without a GPU, the first request for log-probabilities compiles for 10 to 20 s


class VllmAdapters:
    """An AdapterHost over one or many servers: what one of them lacks, the host lacks."""

    def __init__(
        self, urls: Sequence[str], *, api_key: str = "", timeout: float = FIRST_ANSWER_SECONDS
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._servers = [
            httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout, trust_env=False)
            for url in urls
        ]

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def adapters(self) -> set[str]:
        """Return the adapters that every server lists."""
        return set.intersection(*({*_paths(server)} for server in self._servers)) if self._servers else set()

    def load(self, name: str, path: Path) -> None:
        """Load an adapter into every server that lacks it. `path` must be the same on the servers.

        Raises BadWeights when a server refuses it or holds other content under this name, PartUnavailable.
        """
        for server in self._servers:
            known = _paths(server).get(name)
            if known is None:
                _load(server, name, path)
            elif known != str(path):
                raise BadWeights(f"{server.base_url} serves {name} from {known}, not from {path}")

    def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
        """Return the log-probabilities (nats) of the tokens of each prompt but its first, of all servers.

        With several servers, each prompt occurs once per server. Raises PartUnavailable.
        """
        return [tokens for server in self._servers for tokens in _logprobs(server, model, prompts)]


def _paths(server: httpx.Client) -> dict[str, str]:
    listed = _answer(server, "GET", "/v1/models")["data"]
    return {model["id"]: model["root"] for model in listed if model.get("parent")}


def _load(server: httpx.Client, name: str, path: Path) -> None:
    with _named(server):
        response = server.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(path)})
    if response.is_success or _paths(server).get(name) == str(path):  # someone else may have been first
        return
    if response.status_code == httpx.codes.NOT_FOUND and "detail" in response.text:
        raise PartUnavailable(
            f"{server.base_url} has no endpoint for adapters.",
            mend="start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1",
        )
    raise BadWeights(f"{server.base_url} refuses {name}: {response.text[:300]}")


def _logprobs(server: httpx.Client, model: str, prompts: Sequence[str]) -> list[list[float]]:
    question = {
        "model": model,
        "prompt": list(prompts),
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": 0,
    }
    choices = _answer(server, "POST", "/v1/completions", json=question)["choices"]
    return [
        [next(iter(token.values()))["logprob"] for token in choice["prompt_logprobs"][1:]]
        for choice in sorted(choices, key=lambda choice: choice["index"])
    ]


def _answer(server: httpx.Client, method: str, path: str, **request: Any) -> Any:
    with _named(server):
        response = server.request(method, path, **request)
        response.raise_for_status()
        return response.json()


@contextmanager
def _named(server: httpx.Client) -> Iterator[None]:
    """Turn what goes wrong on the way into an error that names the server."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        body = error.response.text[:300]
        raise PartUnavailable(
            f"vLLM at {server.base_url} answers {error.response.status_code}: {body}"
        ) from error
    except (httpx.TransportError, json.JSONDecodeError) as error:
        raise PartUnavailable(f"vLLM at {server.base_url}: {error or type(error).__name__}") from error
