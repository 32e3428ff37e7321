from __future__ import annotations

import json

import pytest

from kiban import cli
from kiban.settings import load


@pytest.fixture(autouse=True)
def afresh() -> None:
    load.cache_clear()


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["kiban", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_wrong_setting_names_its_field_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIBAN_CHAT_PORT", "chat")
    assert run(monkeypatch, "status") == 1
    told = capsys.readouterr()
    assert "chat_port" in told.err
    assert "Traceback" not in told.err


def test_with_json_even_a_refusal_is_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIBAN_DEVICE", "abacus")
    assert run(monkeypatch, "status", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "SettingsError"
    assert "'auto', 'cpu' or 'gpu'" in told["detail"]


def test_help_lists_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    listed = capsys.readouterr().out
    assert all(command in listed for command in cli.COMMANDS)
