"""The registry against a real MLflow server, on a real Postgres."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest
from mlflow import MlflowClient

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.mlflow_registry import BATCH, MlflowRegistry
from kiban.backends.mlflow_traces import MlflowTraces
from kiban.domain.course import Course, Step, Told, Watched
from kiban.domain.learning import Weights
from kiban.errors import PartUnavailable

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
    "ignore:.*type hint is inferred as AnyType",  # MLflow, of its own
)
STARTS_WITHIN = 120  # seconds; its first start lays out the database


@pytest.fixture(scope="module")
def mlflow_url(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with psycopg.connect(postgres_server.dsn("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("drop database if exists mlflow_test with (force)")
        connection.execute("create database mlflow_test")
    port = _free_port()
    folder = tmp_path_factory.mktemp("mlflow")
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": postgres_server.dsn("postgres", "mlflow_test").replace(
            "postgresql:", "postgresql+psycopg:", 1
        ),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--serve-artifacts", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, server, folder / "log")
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    folder = tmp_path / "adapter"
    (folder / "sub").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(os.urandom(4000))
    (folder / "sub" / "adapter_config.json").write_text("{}")
    return Weights.of(folder)


def test_registered_weights_come_back_byte_for_byte_with_tags_and_card(
    mlflow_url: str, weights: Weights, tmp_path: Path
) -> None:
    registry = MlflowRegistry(mlflow_url)
    version = registry.register("adapter-a", weights, {"curriculum": "c" * 64}, "# Made of nothing")
    name, number = version.split("/")
    client = MlflowClient(mlflow_url, mlflow_url)
    kept = client.get_model_version(name, number)
    assert kept.description == "# Made of nothing"
    assert kept.tags["curriculum"] == "c" * 64
    fetched = Path(client.download_artifacts(kept.run_id, "weights", str(tmp_path)))
    assert Weights.of(fetched).sha256 == weights.sha256
    assert (fetched / "README.md").read_text() == "# Made of nothing"


def test_registering_twice_gives_one_version_and_other_weights_another(
    mlflow_url: str, weights: Weights
) -> None:
    registry = MlflowRegistry(mlflow_url)
    first = registry.register("adapter-b", weights, {}, "card")
    assert registry.register("adapter-b", weights, {}, "card") == first == "adapter-b/1"
    (weights.path / "adapter_model.safetensors").write_bytes(b"others")
    other = Weights.of(weights.path)
    assert registry.register("adapter-b", other, {}, "card") == "adapter-b/2"
    assert registry.version_of("adapter-b", other.sha256) == "adapter-b/2"
    assert registry.version_of("adapter-b", "0" * 64) is None
    assert registry.version_of("adapter-b", None) is None


def test_an_alias_moves_and_goes_away(mlflow_url: str, weights: Weights) -> None:
    registry = MlflowRegistry(mlflow_url)
    client = MlflowClient(mlflow_url, mlflow_url)
    version = registry.register("adapter-c", weights, {}, "card")
    registry.alias("champion", version, "adapter-c")
    assert client.get_model_version_by_alias("adapter-c", "champion").version == version[-1]
    registry.alias("champion", None, "adapter-c")
    assert client.get_registered_model("adapter-c").aliases == {}
    registry.alias("champion", None, "adapter-c")
    registry.alias("champion", None, "never-registered")


def test_a_run_keeps_every_measure_though_they_travel_in_batches(mlflow_url: str) -> None:
    registry = MlflowRegistry(mlflow_url)
    with registry.run("training", {"kind": "test"}) as run:
        run.describe({"rank": 16, "epochs": 1}, {"curriculum": "c"})
        for step in range(BATCH + 7):
            run.log(step, {"loss": 1 / (step + 1)})
    client = MlflowClient(mlflow_url, mlflow_url)
    kept = client.get_run(run.id)
    assert (kept.info.status, kept.data.params["rank"]) == ("FINISHED", "16")
    assert kept.data.tags["kind"] == "test" and kept.data.tags["curriculum"] == "c"
    history = client.get_metric_history(run.id, "loss")
    assert sorted(measure.step for measure in history) == list(range(BATCH + 7))


def test_a_run_that_breaks_ends_as_failed_with_its_measures(mlflow_url: str) -> None:
    with pytest.raises(ZeroDivisionError), MlflowRegistry(mlflow_url).run("training") as run:
        run.log(3, {"loss": 0.5})
        raise ZeroDivisionError
    kept = MlflowClient(mlflow_url, mlflow_url).get_run(run.id)
    assert (kept.info.status, kept.data.metrics) == ("FAILED", {"loss": 0.5})


def test_a_report_is_kept_as_an_artifact(mlflow_url: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>合格</p>", "utf-8")
    MlflowRegistry(mlflow_url, "reports").log_report("abc", report, {"correct": 0.9})
    client = MlflowClient(mlflow_url, mlflow_url)
    experiment = client.get_experiment_by_name("reports")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics == {"correct": 0.9}
    kept = client.download_artifacts(run.info.run_id, "report.html", str(tmp_path / "fetched"))
    assert Path(kept).read_text("utf-8") == "<p>合格</p>"


def test_what_people_do_on_the_page_is_seen(mlflow_url: str, weights: Weights, tmp_path: Path) -> None:
    registry, client = MlflowRegistry(mlflow_url), MlflowClient(mlflow_url, mlflow_url)
    assert registry.shelf("seen").versions == ()
    registry.crown("seen", 1, 3)  # of a model that is not there: nothing to put a crown on
    first = registry.register("seen", weights, {}, "")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "adapter_model.safetensors").write_bytes(b"other")
    registry.register("seen", Weights.of(tmp_path / "other"), {}, "")
    registry.crown("seen", 1, 7)
    registry.tell(first, "良い")
    client.set_registered_model_alias("seen", "challenger", "2")
    client.set_registered_model_alias("seen", "champion", "2")
    shelf = registry.shelf("seen")
    assert (shelf.champion, shelf.champion_seq) == (1, 7)
    told = {version.number: (version.aliases, version.told) for version in shelf.versions}
    assert told == {1: (frozenset(), "良い"), 2: (frozenset({"challenger", "champion"}), "")}
    assert shelf.holding(weights.sha256) == next(v for v in shelf.versions if v.number == 1)
    client.delete_model_version("seen", "1")
    assert registry.shelf("seen").holding(weights.sha256) is None
    registry.crown("seen", None, 8)
    assert registry.shelf("seen").under("champion") is None


def test_a_run_names_what_it_learns_from(mlflow_url: str) -> None:
    with MlflowRegistry(mlflow_url).run("adapter") as run:
        run.learns_from("curriculum", "ab" * 32, "kiban.curriculum/abab", {"examples": 64, "pairs": 128})
    (used,) = MlflowClient(mlflow_url).get_run(run.id).inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("curriculum", "ab" * 18)
    assert json.loads(used.dataset.profile) == {"examples": 64, "pairs": 128}
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]


def test_a_server_that_is_not_there_is_named_within_seconds() -> None:
    registry = MlflowRegistry(f"http://127.0.0.1:{_free_port()}")
    started = time.monotonic()
    with pytest.raises(PartUnavailable, match="MLflow at http"), registry.run("training"):
        pass
    assert time.monotonic() - started < 10


def test_a_server_that_goes_away_in_the_middle_is_named(
    mlflow_url: str, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = MlflowRegistry(mlflow_url)
    assert registry.version_of("adapter-d", weights.sha256) is None
    shared = registry._client._tracking_client.store  # by all clients of this server
    monkeypatch.setattr(shared, "get_host_creds", _nowhere)
    with pytest.raises(PartUnavailable, match="MLflow at http"), registry.run("training"):
        pass


def _nowhere() -> object:
    from mlflow.utils.rest_utils import MlflowHostCreds

    return MlflowHostCreds(f"http://127.0.0.1:{_free_port()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"MLflow did not start:\n{log.read_text()[-2000:]}")


def test_answers_are_kept_as_traces_with_the_thumbs_given_to_them(mlflow_url: str) -> None:
    course = Course()
    course.steps.append(Step("search", course.began, course.began + 5, "", {"lane": "dense"}))
    public = Watched(
        course, course.began + 9, None, "asker1", "question1", {"citations": 1}, Told("問い", "答え")
    )
    restricted = replace(public, question="question2", told=None)
    traces = MlflowTraces(mlflow_url)
    traces.saw(public)
    traces.saw(restricted)
    traces.rated("asker1", "question1", good=True)
    traces.rated("asker1", "never asked", good=False)
    traces.close()
    client = MlflowClient(mlflow_url)
    experiment = client.get_experiment_by_name("kiban-answers")
    assert experiment is not None
    found = client.search_traces(experiment_ids=[experiment.experiment_id])
    by_question = {trace.info.tags["kiban.question"]: trace for trace in found}
    assert set(by_question) == {"question1", "question2"}
    assert [span.name for span in by_question["question1"].data.spans] == ["answer", "search"]
    assert by_question["question1"].data.spans[0].outputs == {"answer": "答え"}
    assert by_question["question2"].data.spans[0].outputs == {}
    assert by_question["question2"].data.spans[0].inputs == {"question": "hash question2"}
    (thumb,) = by_question["question1"].info.assessments
    assert (thumb.name, thumb.value, thumb.source.source_id) == ("thumb", True, "asker1")
    assert not by_question["question2"].info.assessments
