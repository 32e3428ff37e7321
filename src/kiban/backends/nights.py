"""Frozen exams and the nights since, in a folder: one exam a release, one line a night."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from kiban.domain.drift import FrozenExam, Night
from kiban.domain.learning import Question

_QUESTIONS = TypeAdapter(tuple[Question, ...])
_EXAM = TypeAdapter(FrozenExam)
_NIGHT = TypeAdapter(Night)


@dataclass(frozen=True, slots=True)
class NightShelf:
    """What the nightly examination keeps. A file that is there is complete: it appears by renaming."""

    root: Path

    @property
    def page(self) -> Path:
        return self.root / "drift.html"

    def questions(self) -> tuple[Question, ...]:
        """Return the questions that every release is asked; none before the first night."""
        file = self.root / "questions.json"
        return _QUESTIONS.validate_json(file.read_bytes()) if file.exists() else ()

    def keep_questions(self, questions: tuple[Question, ...]) -> None:
        self._write("questions.json", _QUESTIONS.dump_json(questions, indent=1))

    def exam(self, release_id: str) -> FrozenExam | None:
        file = self.root / f"exam-{release_id}.json"
        return _EXAM.validate_json(file.read_bytes()) if file.exists() else None

    def keep_exam(self, exam: FrozenExam) -> None:
        self._write(f"exam-{exam.release_id}.json", _EXAM.dump_json(exam, indent=1))

    def nights(self) -> list[Night]:
        """Return all nights, oldest first."""
        file = self.root / "nights.jsonl"
        lines = file.read_bytes().splitlines() if file.exists() else []
        return [_NIGHT.validate_json(line) for line in lines]

    def keep_night(self, night: Night) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "nights.jsonl").open("ab") as file:
            file.write(_NIGHT.dump_json(night) + b"\n")

    def forget(self) -> None:
        """Let the next night draw new questions; the nights stay."""
        for file in (*self.root.glob("exam-*.json"), *self.root.glob("questions.json")):
            file.unlink()

    def _write(self, name: str, content: bytes) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        half = self.root / f"{name}.part"
        half.write_bytes(content)
        half.rename(self.root / name)
