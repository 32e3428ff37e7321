"""`.venv/bin/python infra/bench/clients`: which clients work unmodified, as a table.

Serves the chat API over a house in memory, and lets each client ask it in an environment of its own: Python's
in `.venv-clients` (`python3 infra/setup --clients`), openai-node where npm can install it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT))

from kiban.answer.wording import JAPANESE  # noqa: E402
from kiban.domain.access import EVERYONE  # noqa: E402
from kiban.domain.document import Place  # noqa: E402
from kiban.domain.question import ToolCall, Turn  # noqa: E402
from services.chat.testing import MemoryHouse, serving  # noqa: E402

SENTENCE = "国内出張の宿泊費は11,000円を上限とする。"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kiban-clients-") as name:
        folder = Path(name)
        house = MemoryHouse(folder, {}, _write)
        house.shelve("旅費規程", frozenset({EVERYONE}), (Place(), SENTENCE))
        with serving(house) as url:
            rows = [*_python(url, house.token("sato")), *_node(url, house.token("sato"), folder)]
    print("| Client | version | works | does not |\n|---|---|---|---|")
    for row in rows:
        works = [what for what, how in row["tried"].items() if how == "ok"]
        fails = [f"{what}: {how}" for what, how in row["tried"].items() if how != "ok"]
        print(f"| {row['client']} | {row['version']} | {', '.join(works)} | {'; '.join(fails) or '–'} |")
    sys.exit(any(how != "ok" for row in rows for how in row["tried"].values()))


def _write(turns: Sequence[Turn]) -> Sequence[str | ToolCall]:
    if turns[0].text == JAPANESE.deciding:
        return (ToolCall("call_1", "rate", '{"currency": "EUR"}'),)
    return ("11,000円です。", f"「{SENTENCE}」", "[1]")


def _python(url: str, token: str) -> Iterator[dict[str, Any]]:
    python = ROOT / ".venv-clients" / "bin" / "python"
    if not python.exists():
        sys.exit("The clients' environment is not there. Mend: python3 infra/setup --clients")
    yield from _told([python, HERE / "ask.py", url, token], HERE)


def _node(url: str, token: str, folder: Path) -> Iterator[dict[str, Any]]:
    if not shutil.which("npm"):
        print("npm is not there: openai-node was not tried.", file=sys.stderr)
        return
    shutil.copy(HERE / "ask.mjs", folder)
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "openai"], cwd=folder, check=True
    )
    yield from _told(["node", "ask.mjs", url, token], folder)


def _told(command: Sequence[str | Path], folder: Path) -> Iterator[dict[str, Any]]:
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    yield from map(json.loads, ran.stdout.splitlines())


if __name__ == "__main__":
    main()
