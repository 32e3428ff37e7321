"""What the service says of itself is true: schemathesis sends what the description allows and forbids to
every route, as somebody who may do everything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from services.chat.allowed import ROUTES, Door
from services.chat.quota import Quota
from services.chat.testing import MemoryHouse, serving

EXAMPLES, SEED = 3, 7
OFTEN = Quota(requests=10**6, answers=10**6)
ST = Path(sys.executable).with_name("st")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> MemoryHouse:
    everything = frozenset({"curators", "operators", "auditors"})
    house = MemoryHouse(tmp_path_factory.mktemp("keys"), {"mori": everything}, lambda turns: ("はい。",))
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(), "宿泊費は11,000円を上限とする。"))
    return house


def test_no_request_finds_an_error_or_a_reply_that_is_not_described(
    house: MemoryHouse, tmp_path: Path
) -> None:
    with serving(house, OFTEN) as url:
        settings = Path(__file__).with_name("schemathesis.toml")
        command = [
            ST, "--config-file", settings, "run", f"{url}/openapi.json", "--no-color",
            "--header", f"Authorization: Bearer {house.token('mori')}",
            "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", str(SEED),
            "--suppress-health-check", "all",
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    found = re.search(r"(\d+) generated", ran.stdout)
    assert found and int(found[1]) > 500


def test_every_route_with_a_token_is_described_with_its_refusals(house: MemoryHouse) -> None:
    with serving(house, OFTEN) as url:
        described = httpx.get(f"{url}/openapi.json").json()["paths"]
    for route, right in ROUTES.items():
        method, path = route.split(" ", 1)
        if not path.startswith("/v1/"):
            continue
        replies = set(described[path][method.lower()]["responses"])
        assert replies >= {"400", "401", "403", "404", "413", "422", "429", "503"}, route
        assert right is not Door.ANYBODY
