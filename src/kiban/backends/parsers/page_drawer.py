"""A page of a PDF as a PNG. Hostile files are drawn in a jail, as they are read in one."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from PIL import Image

from kiban.backends.parsers.worker_process import Limits, WorkerProcess
from kiban.errors import HostileFile

DRAW = "kiban.backends.parsers.page_view:draw"
LIMITS = Limits(cpu_seconds=10.0, wall_seconds=40.0)


class PageDrawer:
    """Draws one page at a time. Its worker starts with the first."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._worker = WorkerProcess(limits, DRAW)

    def draw(self, path: Path, page: int, quote: str = "") -> bytes:
        """Return a page (1-based), with the quotation marked if it stands there. Raises a DocumentError;
        PartRefused if no worker starts."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            drawn = self._worker.ask(json.dumps({"page": page, "quote": quote}), descriptor)
        finally:
            os.close(descriptor)
        if len(drawn.pictures) != 1:
            raise HostileFile("its page was not drawn")
        (picture,) = drawn.pictures
        out = io.BytesIO()
        Image.frombytes("RGB", (picture.width, picture.height), picture.rgb).save(out, "PNG")
        return out.getvalue()

    def close(self) -> None:
        self._worker.close()
