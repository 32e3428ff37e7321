from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from kiban.settings import ROOT, Settings
from kiban.stack import environment
from services import vllm

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Give the file as it is without any variable set."""
    text = (ROOT / "infra" / "compose.yaml").read_text()
    filled: dict[str, Any] = yaml.safe_load(VARIABLE.sub(lambda match: match["default"] or "", text))
    return filled


def test_the_container_serves_with_the_flags_of_the_embedded_server(compose: dict[str, Any]) -> None:
    command = compose["services"]["vllm"]["command"]
    flags = [word for flag in command[1:] for word in flag.split("=", 1)]
    address = ["--host", "0.0.0.0", "--port", "8000"]
    assert flags == [*address, *vllm.flags(16, Settings().adapters_at_once, gpu=True)]


def test_only_chat_and_flows_share_a_network_with_vllm(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["vllm"]["networks"] == ["serving"]
    assert {name for name in services if "serving" in services[name]["networks"]} == {"vllm", "chat", "flows"}
    assert compose["networks"]["serving"]["internal"]


def test_every_part_but_the_one_that_runs_once_is_checked_for_health(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name for name in services if "healthcheck" not in services[name]} == {"prepare"}


def test_containers_phone_home_no_more_than_processes_do(compose: dict[str, Any]) -> None:
    for name in ("prefect", "mlflow", "vllm", "chat", "flows"):
        variables = compose["services"][name]["environment"]
        assert variables.items() >= environment.QUIET.items(), name


def test_every_mounted_file_and_every_dockerfile_is_in_the_checkout(compose: dict[str, Any]) -> None:
    assert (ROOT / compose["services"]["prefect"]["build"]["dockerfile"]).is_file()
    assert (ROOT / "infra" / "containers" / "databases.sql").is_file()
    example = (ROOT / "infra" / "containers" / "compose.env.example").read_text()
    used = {match["name"] for match in VARIABLE.finditer((ROOT / "infra/compose.yaml").read_text())}
    assert used == {line.split("=")[0] for line in example.splitlines() if "=" in line and line[0] != "#"}
