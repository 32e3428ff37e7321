"""Questions to be judged by, as folders hold them: one text per line, or BEIR's queries.jsonl."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from kiban.errors import SettingsError


def texts(folder: Path) -> tuple[str, ...]:
    """Return the questions of an evaluation set, from every *.txt and from queries.jsonl, gzipped or not.

    Raises SettingsError for a folder without one, or with a line that cannot be read.
    """
    found = [text for path in sorted(folder.glob("*")) for text in _read(path)] if folder.is_dir() else []
    if not found:
        raise SettingsError(f"evaluation_sets: {folder} holds no questions (*.txt, queries.jsonl).")
    return tuple(found)


def _read(path: Path) -> Iterator[str]:
    if path.suffix == ".txt":
        yield from filter(None, map(str.strip, path.read_text("utf-8").splitlines()))
    elif path.name in ("queries.jsonl", "queries.jsonl.gz"):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for number, line in enumerate(content.split(b"\n"), start=1):
            try:
                if line.strip():
                    yield str(json.loads(line)["text"])
            except (ValueError, KeyError, TypeError) as error:
                raise SettingsError(f"evaluation_sets: {path}, line {number}: {error!r}") from error
