from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kiban.errors import PartRefused, SettingsError
from kiban.settings import Settings
from kiban.stack import databases, doctor, environment, machine, state
from kiban.stack.daemon import Daemon
from kiban.stack.parts import left_over, parts

ELSEWHERE = {
    "postgres_dsn": "postgresql://me:p%40ss@db:5433/kiban?sslmode=require",
    "prefect_api_url": "http://flows/api",
    "mlflow_tracking_uri": "http://mlflow",
    "vllm_urls": ("http://gpu1:8000", "http://gpu2:8000"),
}


def test_a_house_without_settings_runs_every_part_itself(tmp_path: Path) -> None:
    made = parts(Settings(state=tmp_path))
    assert [part.name for part in made] == ["postgres", "prefect", "mlflow", "vllm", "chat", "flows"]
    assert all(part.runner for part in made)


def test_what_the_settings_point_to_is_asked_and_not_run(tmp_path: Path) -> None:
    made = parts(Settings(state=tmp_path, **ELSEWHERE))
    assert [part.name for part in made if part.runner] == ["chat", "flows"]
    assert [part.url for part in made if part.name.startswith("vllm")] == list(ELSEWHERE["vllm_urls"])


def test_another_base_has_a_server_of_its_own_which_is_left_over_once_nobody_names_it(tmp_path: Path) -> None:
    named = Settings(state=tmp_path, other_llm="small")
    (other,) = (part for part in parts(named) if part.name == "other-vllm")
    assert isinstance(other.runner, Daemon)
    assert other.runner.command[-2:] == ("small", str(named.other_vllm_port))
    sleeping = replace(
        other.runner,
        command=(sys.executable, "-c", "import time; time.sleep(60)"),
        environment=dict,
        port=None,
    )
    replace(sleeping, check=lambda: None).start()
    try:
        assert left_over(named) == []
        assert [part.name for part in left_over(Settings(state=tmp_path))] == ["other-vllm"]
        assert other.outdated(), "it was started by another command"
    finally:
        sleeping.stop(grace=0)
    assert left_over(Settings(state=tmp_path)) == []


def test_no_address_that_people_see_holds_a_password(tmp_path: Path) -> None:
    shown = parts(Settings(state=tmp_path, **ELSEWHERE))[0].url
    assert shown.startswith("db:5433")
    assert "p%40ss" not in shown


def test_looking_at_the_parts_writes_nothing(tmp_path: Path) -> None:
    for part in parts(Settings(state=tmp_path / "state")):
        part.probe()
    assert not (tmp_path / "state").exists()


def test_vllm_is_refused_without_its_model_and_told_how_to_get_it(tmp_path: Path) -> None:
    made = {part.name: part.runner for part in parts(Settings(state=tmp_path))}
    vllm = made["vllm"]
    assert isinstance(vllm, Daemon)
    with pytest.raises(PartRefused, match=r"kiban models fetch|make setup"):
        vllm.check()


def test_services_get_the_settings_of_the_one_who_starts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack = {"kind": "slack", "name": "slack", "token": "xoxb-1", "time_zone": "Asia/Tokyo"}
    chosen = Settings(
        state=tmp_path,
        lora_rank=32,
        vllm_urls=("http://gpu1",),
        allow_hub=True,
        sources=(slack,),  # type: ignore[arg-type]
    )
    for name, value in environment.house(chosen).items():
        monkeypatch.setenv(name, value)
    assert Settings() == chosen


def test_a_sibling_database_keeps_user_password_and_options() -> None:
    assert databases.sibling(ELSEWHERE["postgres_dsn"], "mlflow") == (  # type: ignore[arg-type]
        "postgresql://me:p%40ss@db:5433/mlflow?sslmode=require"
    )


def test_a_folder_with_other_things_in_it_is_never_claimed(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(SettingsError, match=r"thesis\.docx"):
        state.claim(tmp_path)


def test_only_a_marked_folder_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    with pytest.raises(SettingsError, match="bears no mark"):
        state.remove(Settings(state=folder))
    state.claim(folder)
    assert state.remove(Settings(state=folder))
    assert not folder.exists()


def test_a_machine_without_a_compiler_is_refused_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = {f.name: f for f in machine.examine(tmp_path, gpu=False, disk_gib=0)}
    assert not findings["C++ compiler"].ok
    assert "g++" in findings["C++ compiler"].mend
    assert not findings["lscpu"].ok


def test_a_full_disk_is_refused(tmp_path: Path) -> None:
    findings = {f.name: f for f in machine.examine(tmp_path / "not" / "there", gpu=True, disk_gib=1e9)}
    assert not findings["disk"].ok
    assert findings["disk"].needed


def test_the_doctor_finds_a_taken_port_and_a_part_that_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        settings = Settings(state=tmp_path, chat_port=taken, vllm_urls=("http://127.0.0.1:9",))
        findings = {finding.name: finding for finding in doctor.examine(settings, parts(settings))}
    assert not findings["port of chat"].ok
    assert "KIBAN_CHAT_PORT" in findings["port of chat"].mend
    assert not findings["vllm"].ok
