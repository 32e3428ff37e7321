"""Folders in the layout of BEIR (Thakur et al. 2021), corpus.jsonl, queries.jsonl and qrels, as found in the
wild: gzipped or not, with or without a header, titles or answers, and with ids of any kind."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kiban.domain.access import Audience
from kiban.domain.document import ParsedDocument, Place, Section, SourceFile
from kiban.errors import SettingsError

# Splits in the order in which they are preferred; of a folder with several, the one to be tested on counts.
QRELS = ("qrels.tsv", "qrels/test.tsv", "qrels/dev.tsv", "qrels/validation.tsv", "qrels/train.tsv")
_UNPAIRED = re.compile("[\ud800-\udfff]")  # half a character, which JSON can hold and text cannot


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    """A question with the grades of the documents that answer it."""

    id: str
    text: str
    relevant: dict[str, float]
    answers: tuple[str, ...] = ()  # what a right answer contains, where the folder says


def documents(folder: Path, audience: Audience) -> Iterator[tuple[SourceFile, ParsedDocument]]:
    """Yield each document of the corpus once; of two with one id, the first.

    A document without text is its title. Raises SettingsError when the folder is not in this layout.
    """
    path = _there(folder, "corpus.jsonl")
    seen: set[str] = set()
    for row in _rows(path):
        id = _id(row, path)
        if id in seen:
            continue
        seen.add(id)
        title, text = _text(row, "title"), _text(row, "text")
        digest = hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()
        body = text if text.strip() else title
        yield (
            SourceFile(id, path, len(text.encode()), digest, audience),
            ParsedDocument(title, (Section(body, Place()),)),
        )


def questions(
    folder: Path, limit: int | None = None, seed: int = 7, *, shuffled: bool = False
) -> list[JudgedQuestion]:
    """Return the questions that are judged: `limit` drawn by `seed`, or all of them, in the order of the file
    or `shuffled` by `seed`.

    Raises SettingsError when the folder is not in this layout, or no question of it is judged.
    """
    grades, path = _grades(folder), _there(folder, "queries.jsonl")
    judged = {
        id: JudgedQuestion(id, text, grades[id], tuple(map(str, row.get("answers") or ())))
        for row in _rows(path)
        if (id := _id(row, path)) in grades and (text := _text(row, "text")).strip()
    }
    if not judged:
        raise SettingsError(f"{folder}: none of its questions stands in its qrels.")
    asked = list(judged.values())
    if limit is not None and limit < len(asked):
        return random.Random(seed).sample(asked, limit)
    return random.Random(seed).sample(asked, len(asked)) if shuffled else asked


def _grades(folder: Path) -> dict[str, dict[str, float]]:
    """Read "question, document, grade", or TREC's "question, 0, document, grade"."""
    grades: dict[str, dict[str, float]] = {}
    path = _there(folder, *QRELS)
    with _open(path) as lines:
        for number, line in enumerate(lines, start=1):
            cells = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            if not any(cell.strip() for cell in cells):
                continue
            grade = _number(cells[-1])
            if grade is None and number == 1:
                continue  # a header
            if grade is None or len(cells) not in (3, 4):
                raise SettingsError(f"{path}, line {number}: not “question, document, grade”.")
            if grade > 0:
                question, document = _keepable(cells[0]), _keepable(cells[-2])
                grades.setdefault(question, {})[document] = grade
    return grades


def _there(folder: Path, *names: str) -> Path:
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise SettingsError(f"{folder} is not in BEIR layout: it has no {' or '.join(names[:2])}.")


def _open(path: Path) -> IO[str]:
    opened: IO[str] = (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig")
    return opened


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise SettingsError(f"{path}, line {number}: not a JSON object.")
                    yield row
    except (UnicodeDecodeError, json.JSONDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise SettingsError(f"{path}: {error}") from error


def _id(row: dict[str, Any], path: Path) -> str:
    for key in ("_id", "id"):
        if key in row:
            return _keepable(str(row[key]))
    raise SettingsError(f"{path}: a line without _id.")


def _keepable(id: str) -> str:
    return _UNPAIRED.sub("\ufffd", id).replace("\0", "\ufffd")  # as Postgres can hold it


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return _UNPAIRED.sub("\ufffd", str(value)) if value is not None else ""


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
