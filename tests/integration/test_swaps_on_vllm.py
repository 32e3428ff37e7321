"""Releases are swapped on a real vLLM under load: nobody's answer fails, and going back is routing.

Where KIBAN_TEST_VLLM names a running vLLM that allows runtime LoRA updating and can read temporary folders.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from kiban.bench.attacks.answering import ASKERS, Answering, answering
from kiban.bench.attacks.stage import Stage
from kiban.domain.release import Release
from kiban.release import deploy
from kiban.release import ledger as pile
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture

URL = os.environ.get("KIBAN_TEST_VLLM", "")
pytestmark = [
    pytest.mark.skipif(not URL, reason="KIBAN_TEST_VLLM names no running vLLM"),
    pytest.mark.timeout(900),
]
QUESTIONS = 60


def layer() -> dict[str, int]:
    """Return the size of the first layer of the model that is served."""
    listed = httpx.get(f"{URL}/v1/models").json()["data"]
    base = next(model for model in listed if not model["parent"])
    config: dict[str, Any] = json.loads((Path(base["root"]) / "config.json").read_text("utf-8"))
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return {"width": config["hidden_size"], "out": config["num_attention_heads"] * head}


def swap(house: Answering, releases: list[Release], enough: threading.Event) -> list[float]:
    """Promote and roll back until it is enough; return how many seconds each flip back took."""
    flips = []
    while not enough.is_set():
        house.promote(releases[len(flips) % 2])
        enough.wait(2)
        began = time.perf_counter()
        pile.rollback(house.furniture.ledger, actor="stage", reason="staged")
        assert house.releases.in_force().adapter is None
        flips.append(time.perf_counter() - began)
    return flips


def test_nobody_fails_while_releases_are_swapped_and_going_back_is_routing(
    record_property: Any,
) -> None:
    flips: list[float] = []
    with Stage(Furniture(Settings()), scale=0.01, hashed=True) as stage:
        with answering(stage, urls=[URL]) as house:
            releases, enough = [house.adapted(number, **layer()) for number in (1, 2)], threading.Event()
            judged = deploy.probabilities(house.furniture.base.adapters, str(releases[0].adapter))
            swapping = threading.Thread(target=lambda: flips.extend(swap(house, releases, enough)))
            swapping.start()
            received = house.ask_all(QUESTIONS)
            drift = deploy.prove_parity(
                house.furniture.base.adapters, str(releases[0].adapter), judged, deploy.CANARIES
            )
            enough.set()
            swapping.join()
    failed = [each for each in received if each.status != 200 or not each.ended or each.failed]
    told = {
        "answers": len(received),
        "failed": len(failed),
        "askers": ASKERS,
        "by release": sorted({each.release for each in received}),
        "swaps": 2 * len(flips),
        "flip back p50, worst (s)": [statistics.median(flips), max(flips)],
        "longest silence (s)": max(each.silence for each in received),
        "parity (nats per token)": drift,
    }
    record_property("told", told)
    print(told)
    assert not failed
    assert len({each.release for each in received}) == 3  # the base and both adapters answered
    assert max(flips) <= 10
