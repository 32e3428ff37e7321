"""Folders in the layout of BEIR (Thakur et al. 2021): corpus.jsonl, queries.jsonl and qrels.tsv."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiban.domain.access import Audience
from kiban.domain.document import ParsedDocument, Place, Section, SourceFile
from kiban.errors import SettingsError

QRELS = ("qrels.tsv", "qrels/test.tsv")


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    """A question with the grades of the documents that answer it."""

    id: str
    text: str
    relevant: dict[str, float]
    answers: tuple[str, ...] = ()  # what a right answer contains, where the folder says


def documents(folder: Path, audience: Audience) -> Iterator[tuple[SourceFile, ParsedDocument]]:
    """Yield each document of the corpus. Raises SettingsError when the folder is not in this layout."""
    path = folder / "corpus.jsonl"
    for row in _rows(path):
        title, text = row.get("title", ""), row["text"]
        digest = hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()
        file = SourceFile(str(row["_id"]), path, len(text), digest, audience)
        yield file, ParsedDocument(title, (Section(text, Place()),))


def questions(
    folder: Path, limit: int | None = None, seed: int = 7, *, shuffled: bool = False
) -> list[JudgedQuestion]:
    """Return the questions that have an answer in the corpus: `limit` drawn by `seed`, or all of them,
    in the order of the file or `shuffled` by `seed`.

    Raises SettingsError when the folder is not in this layout.
    """
    grades = _grades(folder)
    judged = [
        JudgedQuestion(
            str(row["_id"]), row["text"], grades[str(row["_id"])], tuple(map(str, row.get("answers") or ()))
        )
        for row in _rows(folder / "queries.jsonl")
        if str(row["_id"]) in grades
    ]
    if limit is not None and limit < len(judged):
        return random.Random(seed).sample(judged, limit)
    return random.Random(seed).sample(judged, len(judged)) if shuffled else judged


def _grades(folder: Path) -> dict[str, dict[str, float]]:
    path = next((folder / name for name in QRELS if (folder / name).exists()), None)
    if path is None:
        raise SettingsError(f"{folder} is not in BEIR layout: it has no {' or '.join(QRELS)}.")
    grades: dict[str, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match line.split("\t"):
            case ["query-id", "corpus-id", "score"] | [""]:
                continue
            case [question, document, grade] if float(grade) > 0:
                grades.setdefault(question, {})[document] = float(grade)
    return grades


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        raise SettingsError(f"{path.parent} is not in BEIR layout: it has no {path.name}.")
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)
