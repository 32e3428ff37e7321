"""The register of attacks names what exists."""

from __future__ import annotations

from importlib import import_module

import pytest

from kiban.bench import attacks
from kiban.errors import PartUnavailable, SettingsError


@pytest.mark.parametrize("id", attacks.ATTACKS)
def test_every_attack_is_where_the_register_says(id: str) -> None:
    module, name = attacks.ATTACKS[id].split(":")
    assert callable(getattr(import_module(f"kiban.bench.attacks.{module}"), name))


def test_a_letter_stands_for_its_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "ATTACKS", {"A1": "x:y", "A2": "x:y", "D1": "x:y"})
    assert attacks.chosen(["a"]) == ["A1", "A2"]
    assert attacks.chosen(["d1", "A2"]) == ["A2", "D1"]
    assert attacks.chosen([]) == ["A1", "A2", "D1"]
    with pytest.raises(SettingsError, match="Z9"):
        attacks.chosen(["Z9"])


def test_what_cannot_be_staged_does_not_keep_others_from_being(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(stage: object) -> None:
        raise PartUnavailable("vLLM")

    def there(stage: object) -> attacks.Figure:
        return attacks.Figure("A2", "", "", "", passed=True, trials=1)

    monkeypatch.setattr(attacks, "ATTACKS", {"A1": "stage:gone", "A2": "stage:there"})
    monkeypatch.setattr(attacks.stage, "gone", gone, raising=False)
    monkeypatch.setattr(attacks.stage, "there", there, raising=False)
    first, second = attacks.stage_all(["A1", "A2"], None)  # type: ignore[arg-type]
    assert (first.passed, first.trials, second.passed) == (False, 0, True)
    assert "vLLM" in first.note
