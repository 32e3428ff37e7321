"""What each source last failed with, kept as files, so that `kiban sources` can tell of another process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiban.errors import KibanError
from kiban.settings import Settings


class SourceErrors:
    """One text a source, gone when it has been listed to its end."""

    def __init__(self, settings: Settings) -> None:
        self._kept = settings.state / "sources" / "errors"

    def last(self, source: str) -> str:
        """Return what a source last failed with; "" when it did not."""
        try:
            return self._text(source).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def keep(self, source: str, error: KibanError) -> None:
        self._kept.mkdir(parents=True, exist_ok=True)
        self._text(source).write_text(f"{type(error).__name__}: {error}", "utf-8", "replace")

    @contextmanager
    def noted(self, source: str) -> Iterator[None]:
        """Keep what the block raises, or forget what was kept."""
        try:
            yield
        except KibanError as error:
            self.keep(source, error)
            raise
        self._text(source).unlink(missing_ok=True)

    def _text(self, source: str) -> Path:
        return self._kept / hashlib.sha256(source.encode()).hexdigest()[:32]
