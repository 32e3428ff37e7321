"""Where attacks are staged: nothing of the real house is touched."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.bench.throwaway import throwaway_postgres
from kiban.ports import Embedder, Tokenizer
from kiban.testing import HashEmbedder
from kiban.wiring.furniture import Furniture

T = TypeVar("T")


class Stage:
    """A folder and a Postgres of its own, both gone at the end, and the house's own readers of text.

    `scale` is the share of the full size at which to stage (1.0: 20,000 documents); an attack on a server's
    roles needs a server nobody uses, so `postgres` is never the house's.
    """

    def __init__(self, furniture: Furniture, *, scale: float = 1.0, hashed: bool = False) -> None:
        self.furniture = furniture
        self.scale = scale
        self._hashed = hashed
        self._closing = ExitStack()
        self._built: dict[Callable[[Stage], object], object] = {}

    def once(self, build: Callable[[Stage], T]) -> T:
        """Return what `build` makes of this stage, made when it is first asked for."""
        if build not in self._built:
            self._built[build] = build(self)
        return cast("T", self._built[build])

    def at_end(self, close: Callable[[], object]) -> None:
        """Call this when the stage is taken down."""
        self._closing.callback(close)

    def size(self, full: int, least: int = 1) -> int:
        """Return what `full` is at this scale."""
        return max(least, round(full * self.scale))

    @cached_property
    def folder(self) -> Path:
        return Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="kiban-attacks-")))

    @cached_property
    def postgres(self) -> EmbeddedPostgres:
        """Give a running server with empty databases."""
        return self._closing.enter_context(throwaway_postgres())

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return self.furniture.tokenizer

    @cached_property
    def embedder(self) -> Embedder:
        """Return the house's embedder, or one without weights, which is a thousand times as fast."""
        return HashEmbedder(256) if self._hashed else self.furniture.embedder(self.furniture.base_embedder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
