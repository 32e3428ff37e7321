"""Presidio as a ports.Detector: a process that is handed texts, and looks for the same seeds as ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kiban.domain.sensitive import Finding, Kind, apart
from kiban.domain.text import Span
from kiban.errors import PartUnavailable
from kiban.settings import ROOT

SCRIPT = ROOT / "infra" / "bench" / "peers" / "presidio_spans.py"
KINDS = {
    "PERSON": Kind.PERSON,
    "LOCATION": Kind.ADDRESS,
    "PHONE_NUMBER": Kind.PHONE,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "CREDIT_CARD": Kind.CARD,
    "US_SSN": Kind.SOCIAL_SECURITY,
    "US_PASSPORT": Kind.PASSPORT,
    "US_DRIVER_LICENSE": Kind.DRIVING_LICENCE,
    "US_BANK_NUMBER": Kind.BANK_ACCOUNT,
    "IBAN_CODE": Kind.BANK_ACCOUNT,
}  # dates, web addresses and the like are not asked for, and count neither way


class PeerDetector:
    """`python` is of an environment with presidio-analyzer; `arguments` are the script's."""

    def __init__(self, python: Path, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [str(python), str(SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def findings(self, text: str) -> tuple[Finding, ...]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise PartUnavailable(f"{SCRIPT.name} died.", mend="run it by hand, with its Python")
        found = [(KINDS[kind], start, end) for start, end, kind in json.loads(line) if kind in KINDS]
        return apart(Finding(kind, Span(start, end)) for kind, start, end in found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
