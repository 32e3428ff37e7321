"""MLflow as the shelf where people see runs, candidates and the champion. It never loads weights."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from kiban.domain.learning import Weights
from kiban.domain.release import Shelf, ShelvedVersion
from kiban.errors import PartUnavailable

BATCH = 500  # measures sent at once; the API takes 1000
ANSWERS_WITHIN = 5.0  # seconds, for the question whether it is there at all
SHA256 = "kiban.sha256"
TOLD = "kiban.says"  # the answer to what somebody wished of a version
CHAMPION_AT = "kiban.champion"  # "version@ledger entry" of where we put the alias last


class MlflowRegistry:
    """A Registry on an MLflow 3 server.

    Weights go in as a plain directory and a model version that points at it: `log_model` would make MLflow
    their loader, and copy the base model along.
    """

    def __init__(self, tracking_uri: str, experiment: str = "kiban") -> None:
        self._uri = tracking_uri.rstrip("/")
        self._experiment_name = experiment

    @contextmanager
    def run(self, name: str, tags: Mapping[str, str] | None = None) -> Iterator[MlflowRun]:
        """Open a run; it ends as finished or failed, and with all its measures sent."""
        run = MlflowRun(self._client, self._start(name, tags or {}))
        try:
            yield run
        except BaseException:
            run.end("FAILED")
            raise
        run.end("FINISHED")

    def register(self, name: str, weights: Weights, tags: Mapping[str, str], card: str) -> str:
        """Store a plain directory as a new version; return "name/version". Twice the same is one version."""
        if known := self.version_of(name, weights.sha256):
            return known
        with self.run(f"{name} {weights.sha256[:8]}", tags) as run, _answering(self._uri):
            self._client.log_artifacts(run.id, str(weights.path), "weights")
            self._client.log_text(run.id, card, "weights/README.md")
            self._name(name)
            source = f"{self._client.get_run(run.id).info.artifact_uri}/weights"
            version = self._client.create_model_version(
                name, source, run.id, tags={**tags, SHA256: weights.sha256}, description=card
            )
        return f"{name}/{version.version}"

    def version_of(self, name: str, sha256: str | None) -> str | None:
        """Return "name/version" of the weights with this hash; None if they are not on the shelf."""
        if sha256 is None:
            return None
        with _answering(self._uri):
            found = self._client.search_model_versions(f"name = '{name}' and tags.`{SHA256}` = '{sha256}'")
        return f"{name}/{found[0].version}" if found else None

    def alias(self, alias: str, version: str | None, name: str) -> None:
        """Point `alias` of model `name` at "name/version", or take it away."""
        with _answering(self._uri):
            if version is not None:
                self._client.set_registered_model_alias(name, alias, version.rpartition("/")[2])
            elif self._client.search_registered_models(f"name = '{name}'"):
                self._client.delete_registered_model_alias(name, alias)

    def shelf(self, name: str) -> Shelf:
        """Return every version of a model, with what people and we have done to it."""
        with _answering(self._uri):
            found = self._client.search_registered_models(f"name = '{name}'")
            if not found:
                return Shelf(name, (), None, 0)
            model = found[0]
            # The search gives versions without their aliases, and the model its aliases by name.
            aliases: dict[int, set[str]] = {}
            for alias, number in model.aliases.items():
                aliases.setdefault(int(number), set()).add(alias)
            versions = tuple(
                ShelvedVersion(
                    name,
                    int(version.version),
                    version.tags.get(SHA256, ""),
                    frozenset(aliases.get(int(version.version), ())),
                    version.tags.get(TOLD, ""),
                )
                for version in self._client.search_model_versions(f"name = '{name}'")
            )
        number, seq = model.tags.get(CHAMPION_AT, "-@0").split("@")
        return Shelf(name, versions, int(number) if number.isdecimal() else None, int(seq))

    def crown(self, name: str, number: int | None, seq: int) -> None:
        """Put the champion alias where ledger entry `seq` says, and remember that it was us."""
        if not self.shelf(name).versions:
            return
        self.alias("champion", None if number is None else f"{name}/{number}", name)
        with _answering(self._uri):
            placed = "-" if number is None else str(number)
            self._client.set_registered_model_tag(name, CHAMPION_AT, f"{placed}@{seq}")

    def tell(self, version: str, text: str) -> None:
        """Write on a version what became of somebody's wish."""
        name, _, number = version.rpartition("/")
        with _answering(self._uri):
            self._client.set_model_version_tag(name, number, TOLD, text)

    def log_report(self, name: str, report: Path, measures: Mapping[str, float] | None = None) -> None:
        """Keep a judgement's report, and its numbers, as a run of their own."""
        with self.run(f"judge {name}", {"kiban.candidate": name}) as run:
            run.log(0, measures or {})
            run.keep(report)

    @cached_property
    def _client(self) -> MlflowClient:
        """Return a client of a server that answers; MLflow itself would try for minutes to find out."""
        try:
            with urlopen(f"{self._uri}/health", timeout=ANSWERS_WITHIN):
                pass
        except (URLError, TimeoutError, ConnectionError) as error:
            raise PartUnavailable(f"MLflow at {self._uri}: {error}") from error
        # MLflow takes these from its process alone.
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(2)  # type: ignore[no-untyped-call]
        MLFLOW_HTTP_REQUEST_TIMEOUT.set(60)  # type: ignore[no-untyped-call]
        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    @cached_property
    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment_name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self._experiment_name))

    def _start(self, name: str, tags: Mapping[str, str]) -> str:
        with _answering(self._uri):
            return str(
                self._client.create_run(self._experiment_id, tags=dict(tags), run_name=name).info.run_id
            )

    def _name(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except RestException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise


class MlflowRun:
    """A run that is open. Measures are gathered and sent in batches."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.id = run_id
        self._client = client
        self._gathered: list[Metric] = []

    def log(self, step: int, measures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)  # milliseconds
        self._gathered += [Metric(name, value, now, step) for name, value in measures.items()]
        if len(self._gathered) >= BATCH:
            self.flush()

    def describe(self, parameters: Mapping[str, object], tags: Mapping[str, str] | None = None) -> None:
        """Note what a run was made with, in one request."""
        params = [Param(name, str(value)) for name, value in parameters.items()]
        with _answering(self._client.tracking_uri):
            self._client.log_batch(
                self.id, params=params, tags=[RunTag(name, value) for name, value in (tags or {}).items()]
            )

    def learns_from(self, name: str, sha256: str, source: str, profile: Mapping[str, int]) -> None:
        """Name a data set as the run's input, by its content and where it is kept."""
        dataset = Dataset(name, sha256[:36], "kiban", source, profile=json.dumps(dict(profile)))
        with _answering(self._client.tracking_uri):
            self._client.log_inputs(
                self.id, datasets=[DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])]
            )

    def keep(self, file: Path) -> None:
        with _answering(self._client.tracking_uri):
            self._client.log_artifact(self.id, str(file))

    def flush(self) -> None:
        with _answering(self._client.tracking_uri):
            while self._gathered:
                self._client.log_batch(self.id, metrics=self._gathered[:BATCH])
                del self._gathered[:BATCH]

    def end(self, status: str) -> None:
        self.flush()
        with _answering(self._client.tracking_uri):
            self._client.set_terminated(self.id, status)


@contextmanager
def _answering(uri: str) -> Iterator[None]:
    """Turn "no answer" into PartUnavailable; what the server did answer stays MLflow's own error."""
    try:
        yield
    except MlflowException as error:
        if isinstance(error, RestException) or not error.message.startswith("API request to"):
            raise
        raise PartUnavailable(f"MLflow at {uri}: {error.message}") from error
