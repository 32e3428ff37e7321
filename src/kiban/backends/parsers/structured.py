"""JSON, and JSON a line (standard library): records as rows of a table, the rest as "where: what"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from kiban.backends.parsers.outline import Outline, table_lines
from kiban.backends.parsers.plaintext import decode
from kiban.domain.document import ParsedDocument
from kiban.errors import BrokenFile

_MOST_CELLS = 2_000_000  # records that have little in common are no table


def read_json(content: bytes, stem: str) -> ParsedDocument:
    """Raises BrokenFile; what is nested too deeply raises RecursionError."""
    try:
        return _document(json.loads(decode(content)), stem)
    except ValueError as error:
        raise BrokenFile(f"not JSON: {error}") from error


def read_json_lines(content: bytes, stem: str) -> ParsedDocument:
    try:
        return _document([json.loads(line) for line in decode(content).split("\n") if line.strip()], stem)
    except ValueError as error:
        raise BrokenFile(f"not JSON a line: {error}") from error


def _document(value: object, stem: str) -> ParsedDocument:
    outline = Outline()
    names: list[str] = []
    if isinstance(value, list) and all(map(_is_record, value)):
        names = list(dict.fromkeys(name for record in value for name in record))
    if names and isinstance(value, list) and len(names) * len(value) <= _MOST_CELLS:
        rows = [[_word(record.get(name)) for name in names] for record in value]
        for line in table_lines([names, *rows], header=True):
            outline.add(line)
    else:
        for where, what in _leaves(value, ""):
            outline.add(f"{where}: {what}" if where else what)
    return outline.document(stem)


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and not any(isinstance(inner, (dict, list)) for inner in value.values())


def _leaves(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _leaves(inner, where)
    elif word := _word(value):
        yield where, word


def _word(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
