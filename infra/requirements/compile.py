"""Compile the hashed requirement files: `python infra/requirements/compile.py [--find-links DIR]`.

One file per environment, and torch apart: torch-cpu.txt is the CPU build (from find-links or an extra
index), torch-cuda.txt the ordinary one with the CUDA libraries it needs. Setup takes the first where
there is no GPU and the CPU build can be had, the second everywhere else.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TORCH_ONLY = re.compile(r"^(torch==|nvidia-|cuda-|triton==)")
# The CPU build of the same release, as the PyTorch project publishes it for CPython 3.11 on x86-64.
TORCH_CPU = """torch==2.13.0+cpu \\
    --hash=sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"""
HEADER = "# Written by compile.py from {source}; install with --no-deps --require-hashes.\n"


def resolve(source: str, *options: str) -> list[str]:
    """Return one block of text (pin and hashes) per package."""
    command = [
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
        "--python-version",
        "3.11",
        "--python-platform",
        "x86_64-manylinux_2_28",
        *options,
        source,
    ]
    text = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout
    return [block for block in re.split(r"\n(?=\S)", text.strip()) if block]


def write(name: str, source: str, blocks: list[str]) -> None:
    (HERE / name).write_text(HEADER.format(source=source) + "\n".join(blocks) + "\n")
    print(f"{name}: {len(blocks)} packages")


def main() -> None:
    control = resolve("control.in")
    names = {block.split("==")[0] for block in control}
    write("control.txt", "control.in", [b for b in control if not TORCH_ONLY.match(b)])
    write("torch-cpu.txt", "control.in", [TORCH_CPU])
    write("torch-cuda.txt", "control.in", [b for b in control if TORCH_ONLY.match(b)])
    write("test.txt", "test.in", [b for b in resolve("test.in") if b.split("==")[0] not in names])
    serve = resolve("serve.in", "--override", "serve-overrides.txt", *sys.argv[1:])
    write("serve.txt", "serve.in", [b for b in serve if not b.startswith("torch==")])
    write("serve-gpu.txt", "serve-gpu.in", resolve("serve-gpu.in"))


if __name__ == "__main__":
    main()
