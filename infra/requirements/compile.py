"""Compile the hashed requirement files: `python compile.py [--upgrade] [--find-links DIR]`.

Pins that still fit stay as they are, unless --upgrade is given.

One file per environment, and torch apart: torch-cpu.txt is the CPU build (from find-links or an extra
index), torch-cuda.txt the ordinary one with the CUDA libraries it needs. Setup takes the first where
there is no GPU and the CPU build can be had, the second everywhere else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
TORCH_ONLY = re.compile(r"^(torch==|nvidia-|cuda-|triton==)")
# The CPU build of the same release, as the PyTorch project publishes it for CPython 3.11 on x86-64.
TORCH_CPU = """torch==2.13.0+cpu \\
    --hash=sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"""
HEADER = "# Written by compile.py from {source}; install with --no-deps --require-hashes.\n"


def resolve(source: str, known: Sequence[str], *options: str) -> list[str]:
    """Return one block of text (pin and hashes) per package, near the pins of the `known` files."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "pins.txt")
        if "--upgrade" not in sys.argv:
            pins.write_text("\n".join((HERE / name).read_text() for name in known if (HERE / name).exists()))
        return _compiled(source, pins, options)


def _compiled(source: str, pins: Path, options: Sequence[str]) -> list[str]:
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
        "--output-file",
        str(pins),
        *options,
        source,
    ]
    subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    text = pins.read_text()
    return [block for block in re.split(r"\n(?=\S)", text.strip()) if block]


def write(name: str, source: str, blocks: list[str]) -> None:
    (HERE / name).write_text(HEADER.format(source=source) + "\n".join(blocks) + "\n")
    print(f"{name}: {len(blocks)} packages")


def main() -> None:
    options = [option for option in sys.argv[1:] if option != "--upgrade"]
    control = resolve("control.in", ("control.txt", "torch-cuda.txt"))
    names = {block.split("==")[0] for block in control}
    write("control.txt", "control.in", [b for b in control if not TORCH_ONLY.match(b)])
    write("torch-cpu.txt", "control.in", [TORCH_CPU])
    write("torch-cuda.txt", "control.in", [b for b in control if TORCH_ONLY.match(b)])
    test = resolve("test.in", ("control.txt", "torch-cuda.txt", "test.txt"))
    write("test.txt", "test.in", [b for b in test if b.split("==")[0] not in names])
    ray = resolve("ray.in", ("control.txt", "torch-cuda.txt", "test.txt", "ray.txt"))
    write("ray.txt", "ray.in", [b for b in ray if b.split("==")[0] not in names])
    serve = resolve("serve.in", ("serve.txt",), "--override", "serve-overrides.txt", *options)
    write("serve.txt", "serve.in", [b for b in serve if not b.startswith("torch==")])
    write("serve-gpu.txt", "serve-gpu.in", resolve("serve-gpu.in", ("serve-gpu.txt",)))
    write("peers.txt", "peers.in", resolve("peers.in", ("peers.txt",)))
    webui = resolve("open-webui.in", ("open-webui.txt", "torch-cuda.txt"))
    write("open-webui.txt", "open-webui.in", [b for b in webui if not TORCH_ONLY.match(b)])
    for name in ("gateways", "clients"):
        write(f"{name}.txt", f"{name}.in", resolve(f"{name}.in", (f"{name}.txt",)))


if __name__ == "__main__":
    main()
