"""Virtual environments that hold exactly what their requirement files list, made once and kept.

Each carries a stamp: a hash of the files it was made from. An environment without the right stamp (older
files, an interrupted installation) is brought up to date; with it, nothing is run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from report import run, step

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "infra" / "requirements"
HOME = ROOT / ".bootstrap"
UV = HOME / "uv"  # an environment of its own
LOG = HOME / "setup.log"
NETWORK = "check the network and pip's index settings (pip config list), then run again: it continues"


class Installer:
    """uv, at a pinned version, told about the package sources that this machine's pip is told about."""

    def __init__(self) -> None:
        self.uv = UV / "bin" / "uv"
        wanted = (REQUIREMENTS / "bootstrap.txt").read_text()
        stamp = UV / "stamp"
        if not (stamp.exists() and stamp.read_text() == wanted and self.uv.exists()):
            with step("the installer"):
                self._install()
            stamp.write_text(wanted)

    @cached_property
    def env(self) -> dict[str, str]:
        return {**os.environ, **_pip_sources(UV / "bin" / "python")}

    def _install(self) -> None:
        missing = "apt-get install python3-venv, or name a Python that has ensurepip: make PYTHON=..."
        run([sys.executable, "-m", "venv", "--clear", UV], log=LOG, mend=missing)
        pip = (UV / "bin" / "python", "-m", "pip", "install", "--require-hashes")
        run([*pip, "-r", REQUIREMENTS / "bootstrap.txt"], log=LOG, mend=NETWORK)

    def __call__(self, *arguments: str | Path, mend: str = NETWORK) -> None:
        """Run `uv` with these arguments. Raises Refused."""
        run([self.uv, "--no-config", *arguments], log=LOG, env=self.env, mend=mend)

    def can_have(self, requirements: Path) -> bool:
        """Whether these requirements could be installed, by asking without installing."""
        ask = (self.uv, "--no-config", "pip", "install", "--dry-run", "--no-deps", "--require-hashes")
        where = ("--python", UV / "bin" / "python", "-r", requirements)
        return subprocess.run([*ask, *where], env=self.env, capture_output=True).returncode == 0


def _pip_sources(python: Path) -> dict[str, str]:
    """Translate pip's settings (files and environment) into uv's. What is set for uv already stays."""
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    pip = dict(line.split("=", 1) for line in listed.stdout.splitlines() if "=" in line)
    # The environment is listed first, as :env:, and wins over the files.
    settings = {key.rpartition(".")[2]: value.strip("'\"") for key, value in reversed(pip.items())}
    links, extra = (settings.get(key, "").split() for key in ("find-links", "extra-index-url"))
    translated = {
        "UV_FIND_LINKS": ",".join(links),
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(extra),
        # Every package is pinned by hash, so the first index to know a name has no say over its content.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": settings.get("cert", ""),
        "UV_HTTP_TIMEOUT": settings.get("default-timeout", settings.get("timeout", "")),
    }
    return {key: value for key, value in translated.items() if value and key not in os.environ}


@dataclass(frozen=True)
class Environment:
    """A virtual environment at `folder`, made from `files` of the requirements folder."""

    name: str
    folder: Path
    files: tuple[str, ...]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def _stamp(self) -> Path:
        return self.folder / "kiban-stamp.json"

    def installed(self) -> tuple[str, ...]:
        """Return the requirement files that the environment was made from, () if it is not finished."""
        return tuple(json.loads(self._stamp.read_text())["files"]) if self._stamp.exists() else ()

    def _wanted(self, recipe: Sequence[Path]) -> str:
        digest = hashlib.sha256(sys.version.encode())
        for path in (*(REQUIREMENTS / file for file in self.files), *recipe):
            digest.update(path.read_bytes())
        return json.dumps({"files": self.files, "sha256": digest.hexdigest()})

    def make(self, uv: Installer, *, recipe: Sequence[Path], finish: Callable[[Environment], None]) -> bool:
        """Install what is listed, nothing else, then `finish`; return whether anything had to be done.

        `recipe` are further files that the result depends on. Raises Refused.
        """
        wanted = self._wanted(recipe)
        if self._stamp.exists() and self._stamp.read_text() == wanted and self.python.exists():
            return False
        self._stamp.unlink(missing_ok=True)
        with step(f"{self.name}: {len(self._pins())} packages"):
            if not self._same_python():
                uv("venv", "--clear", "--force", "--python", sys.executable, self.folder)
            uv("pip", "sync", "--python", self.python, "--require-hashes", self._list())
            finish(self)
            uv("pip", "check", "--python", self.python, mend=f"remove {self.folder} and run again")
        self._stamp.write_text(wanted)
        return True

    def _pins(self) -> dict[str, str]:
        """Return the pin and hashes of every package. Where files differ, the later one knows better:
        the ordinary torch comes with a triton of its own."""
        text = "\n".join((REQUIREMENTS / file).read_text() for file in self.files)
        blocks = re.split(r"\n(?=\S)", text.strip())
        return {block.split("==")[0]: block for block in blocks if not block.startswith("#")}

    def _list(self) -> Path:
        path = HOME / f"{self.folder.name}.txt"
        path.write_text("\n".join(self._pins().values()) + "\n")
        return path

    def _same_python(self) -> bool:
        if not self.python.exists():
            return False
        asked = subprocess.run(
            [self.python, "-c", "import sys; print(sys.version)"], capture_output=True, text=True
        )
        return asked.stdout.strip() == sys.version

    def compile_in_background(self) -> None:
        """Compile to bytecode beside what comes next: vLLM imports in 8 s instead of 17 s."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        subprocess.Popen(
            ["nice", str(self.python), "-m", "compileall", "-q", "-j", "2", str(self.folder / "lib")],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
