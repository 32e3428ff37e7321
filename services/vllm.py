"""The command that starts a model server: `python -m services.vllm [MODEL PORT]` becomes vLLM. No logic here.

Without a model it serves `llm` of the settings. infra/compose.yaml starts the same server with the same
flags; a test holds them together.
"""

from __future__ import annotations

import os
import sys

from kiban.settings import ROOT, Settings, load
from kiban.stack import environment, machine

BASE = "base"  # the name that requests give the model without an adapter
CONTEXT = 4096  # tokens of prompt and answer together
SEQUENCES = 16  # answered at once


def gpu(settings: Settings) -> bool:
    return machine.uses_gpu(settings.device)


def flags(rank: int, adapters: int, parser: str = "hermes", *, gpu: bool) -> list[str]:
    """Return vLLM's flags. Adapters are loaded while it runs: so many in one batch, and three times as many
    kept in memory, for those of the two releases before; others are read from disk again when asked for."""
    on_gpu = ["--gpu-memory-utilization", "0.5"]  # training needs the other half
    on_cpu = ["--worker-extension-cls", "services.vllm_lora.LoraByAdapter"]  # eight times as fast
    return [
        "--served-model-name", BASE,
        "--max-model-len", str(CONTEXT),
        "--max-num-seqs", str(SEQUENCES),
        "--enable-lora",
        "--max-lora-rank", str(rank),
        "--max-loras", str(adapters),
        "--max-cpu-loras", str(3 * adapters),
        "--enable-auto-tool-choice", "--tool-call-parser", parser,
        *(on_gpu if gpu else on_cpu),
    ]  # fmt: skip


def command(settings: Settings, llm: str = "", port: str = "") -> list[str]:
    # Not `vllm serve`: it asks for the version of a package "vllm", which the CPU build is not called.
    return [
        str(ROOT / ".venv-serve" / "bin" / "python"), "-m", "vllm.entrypoints.launchers.api_server.entry",
        "--model", str(environment.llm_folder(settings, llm or settings.llm)),
        "--host", settings.host,
        "--port", port or str(settings.vllm_port),
        *flags(settings.lora_rank, settings.adapters_at_once, settings.tool_call_parser, gpu=gpu(settings)),
    ]  # fmt: skip


def variables(settings: Settings) -> dict[str, str]:
    """Return vLLM's environment. It never fetches, and compiles nothing: on the CPU, Dynamo would serve
    only the first request for log-probabilities, which it would delay by 17 s and fail without a compiler."""
    cpu = {
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "TORCHDYNAMO_DISABLE": "1",
        "PYTHONPATH": str(ROOT),  # services.vllm_lora
    }
    return {
        **environment.QUIET,
        **environment.caches(settings.state),
        "HF_HUB_OFFLINE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        **({} if gpu(settings) else cpu),
    }


if __name__ == "__main__":
    chosen = load()
    words = command(chosen, *sys.argv[1:])
    os.execve(words[0], words, {**os.environ, **variables(chosen)})
