"""ports.Watcher: some answers as traces in MLflow, with the feedback given to them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import BoundedSemaphore

import mlflow
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource
from mlflow.exceptions import MlflowException

from kiban.domain.course import Watched

log = logging.getLogger(__name__)

WAITING = 100  # answers that may wait to be sent; more are left out
ASKER, QUESTION = "kiban.asker", "kiban.question"  # tags, keyed hashes


class MlflowTraces:
    """Sends from a thread of its own, one after another."""

    def __init__(self, tracking_uri: str, experiment: str = "kiban-answers") -> None:
        self._uri = tracking_uri
        self._name = experiment
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="mlflow-traces")
        self._free = BoundedSemaphore(WAITING)

    def saw(self, watched: Watched) -> None:
        self._soon(lambda: self._send(watched))

    def rated(self, asker: str, question: str, *, good: bool) -> None:
        """Attach a thumb to the newest trace of this asker's question, if there is one."""
        self._soon(lambda: self._rate(asker, question, good=good))

    def close(self) -> None:
        """Send what waits."""
        self._sender.shutdown(wait=True)

    def _soon(self, send: Callable[[], None]) -> None:
        if not self._free.acquire(blocking=False):
            return

        def sending() -> None:
            try:
                send()
            except MlflowException as error:
                log.warning("MLflow did not take a trace: %s", error)
            finally:
                self._free.release()

        self._sender.submit(sending)

    def _send(self, watched: Watched) -> None:
        told = watched.told
        root = mlflow.start_span_no_context(
            "answer",
            span_type="CHAIN",
            inputs={"question": told.question} if told else {"question": f"hash {watched.question}"},
            attributes={f"kiban.{name}": str(value) for name, value in watched.about.items()},
            tags={ASKER: watched.asker, QUESTION: watched.question},
            experiment_id=self._experiment,
            start_time_ns=watched.course.began,
        )
        for step in sorted(watched.course.steps, key=lambda step: (step.start, -step.end)):
            about = {f"kiban.{name}": str(value) for name, value in step.about.items()}
            span = mlflow.start_span_no_context(
                step.name, parent_span=root, attributes=about, start_time_ns=step.start
            )
            span.end(end_time_ns=step.end)
        root.end(outputs={"answer": told.answer} if told else {}, end_time_ns=watched.ended)
        mlflow.flush_trace_async_logging()

    def _rate(self, asker: str, question: str, *, good: bool) -> None:
        asked = f"tags.`{ASKER}` = '{asker}' and tags.`{QUESTION}` = '{question}'"
        found = self._client.search_traces(
            experiment_ids=[self._experiment], filter_string=asked, max_results=1, include_spans=False
        )
        for trace in found:
            mlflow.log_feedback(
                trace_id=trace.info.trace_id,
                name="thumb",
                value=good,
                source=AssessmentSource(source_type="HUMAN", source_id=asker),
            )

    @cached_property
    def _client(self) -> MlflowClient:
        return MlflowClient(self._uri)

    @cached_property
    def _experiment(self) -> str:
        mlflow.set_tracking_uri(self._uri)
        found = self._client.get_experiment_by_name(self._name)
        return str(found.experiment_id if found else self._client.create_experiment(self._name))
