"""The attacks on identity, staged small: each passes, and notices when the house is careless."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from kiban.backends.tokens import TokenVerifier
from kiban.bench.attacks import identity, stage_all
from kiban.bench.attacks.stage import Stage
from kiban.domain.roles import Right
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture
from services.chat import allowed


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    settings = Settings(state=tmp_path_factory.mktemp("state"))
    with Stage(Furniture(settings), scale=0.005, hashed=True) as stage:
        yield stage


@pytest.mark.parametrize("id", ["A8", "A10"])
def test_nobody_is_taken_for_somebody_else(stage: Stage, id: str) -> None:
    (figure,) = stage_all([id], stage)
    assert figure.passed, figure
    assert figure.trials > 300


def test_a_house_that_does_not_verify_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(self: TokenVerifier, token: str) -> dict[str, Any]:
        try:
            said = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
            return {**claims, "sub": str(claims["sub"])}
        except (IndexError, ValueError, TypeError, KeyError):
            return {"sub": "somebody"}

    monkeypatch.setattr(TokenVerifier, "claims", believe)
    monkeypatch.setattr(identity, "TRIED", ("GET /v1/me",))
    (figure,) = stage_all(["A8"], stage)
    assert not figure.passed


def test_a_route_that_asks_for_the_wrong_right_is_noticed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    careless = {**allowed.ROUTES, "GET /v1/operate/answers": Right.SEARCH}
    monkeypatch.setattr(allowed, "ROUTES", careless)
    monkeypatch.setattr(identity, "UNDECLARED", ())
    (figure,) = stage_all(["A10"], stage)
    assert not figure.passed and "GET /v1/operate/answers" in figure.value
