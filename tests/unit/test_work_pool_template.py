"""What a work pool is told is what is served."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml
from prefect.utilities.templating import apply_values

from flows.serve import deployments
from flows.work_pool import deploy_file
from kiban.settings import ROOT

KUBERNETES = ROOT / "infra" / "kubernetes"


def test_the_file_for_kubernetes_is_up_to_date() -> None:
    made = deploy_file(deployments({}), "kiban", "/kiban")
    assert (KUBERNETES / "prefect.yaml").read_text() == made, (
        "python -m flows.work_pool kiban /kiban > infra/kubernetes/prefect.yaml"
    )


def test_a_source_with_a_schedule_of_its_own_has_a_deployment_of_its_own() -> None:
    written = yaml.safe_load(deploy_file(deployments({"intranet": timedelta(days=1)}), "pool", "/x"))
    (found,) = (each for each in written["deployments"] if each["name"] == "source-intranet")
    assert found["parameters"] == {"source": "intranet"}
    assert found["schedules"] == [{"interval": 86400.0, "anchor_date": "2026-01-01T00:00:00+00:00"}]


@pytest.fixture
def job() -> dict[str, Any]:
    """Give the job that Kubernetes is asked for, with the defaults of the pool."""
    template = json.loads((KUBERNETES / "job-template.json").read_text())
    properties = template["variables"]["properties"]
    values = {name: says["default"] for name, says in properties.items() if "default" in says}
    manifest = template["job_configuration"]["job_manifest"]
    filled: dict[str, Any] = apply_values(manifest, {**values, "command": "prefect flow-run execute"})
    return filled


def test_a_job_takes_its_settings_from_the_secret_and_is_not_tried_again_by_kubernetes(
    job: dict[str, Any],
) -> None:
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "kiban"}}]
    assert container["args"] == "prefect flow-run execute"
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "8Gi"}
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert "{{" not in json.dumps(job)
