"""`python -m kiban.bench.chat_process UPSTREAM [--stub]`: our chat service before one model server.

Everything of it is real (tokens, Postgres with row-level security, ledger, record of answers) but the
weights: questions are embedded by hashing; with --stub, what was found once is found again without a search.
It prints one line, its address and a token, and serves until its
input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kiban.bench.attacks.answering import LONGEST_WAIT, SENTENCE, StagedFurniture, serving_chat
from kiban.bench.attacks.company import company
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import ALL
from kiban.domain.question import Passage
from kiban.settings import Settings
from kiban.wiring.answers import Answers
from kiban.wiring.furniture import Furniture

SCALE = 0.05  # a thousand documents
MANY = 10**6


@dataclass(frozen=True)
class ChatProcess:
    pid: int
    url: str
    token: str


@contextmanager
def chat_process(upstream: str, *, stub: bool = False) -> Iterator[ChatProcess]:
    """Start one; stop it at the end."""
    command = [sys.executable, "-m", __name__, upstream, *(["--stub"] if stub else [])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            yield ChatProcess(process.pid, told["url"], told["token"])
        finally:
            process.stdin.close()


class Remembering(Answers):
    """Searches once, and finds the same ever after: what is left is everything but the search."""

    _remembered: list[Passage] | None = None

    def find_with(self, *asked: Any, **more: Any) -> list[Passage]:
        if self._remembered is None:
            self._remembered = super().find_with(*asked, **more)
        return self._remembered


def main() -> None:
    from services.chat.quota import Quota

    kind = Remembering if "--stub" in sys.argv else Answers
    quota = Quota(requests=MANY, answers=MANY, at_once=MANY, each_at_once=MANY)
    with Stage(Furniture(Settings()), scale=SCALE, hashed=True) as stage:
        founded = company(stage)
        founded.put("travel.md", [SENTENCE], ALL)
        furniture = StagedFurniture(stage, founded, [sys.argv[1]], stage.postgres.port, LONGEST_WAIT)
        with serving_chat(furniture, quota, kind) as (_, url):
            token = furniture.issuer.issue("person00", 12, furniture.settings.token_audience)
            print(json.dumps({"url": url, "token": token}), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
