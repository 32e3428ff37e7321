"""Give the browser tests a Chromium and Japanese glyphs, where the system's packages can be installed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from report import Refused, run, step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-ipafont-gothic")


def provide(log: Path) -> None:
    """Install Chromium if it is missing and may be. The tests themselves say why they skip without it."""
    if any(map(shutil.which, NAMES)):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"No Chromium: the browser tests will be skipped. Mend: install {PACKAGES[0]}", file=sys.stderr)
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        with step("Chromium for the browser tests"):
            run(["apt-get", "update", "-qq"], log=log, env=env)
            run(["apt-get", "install", "-qq", "--no-install-recommends", *PACKAGES], log=log, env=env)
    except Refused as refused:
        print(f"No Chromium: the browser tests will be skipped.\n{refused}", file=sys.stderr)
