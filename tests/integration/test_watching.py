"""Answers as traces: what an OpenTelemetry collector receives of a running house, and no word is in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from kiban.backends.otel import OtelWatcher
from kiban.bench.attacks.answering import QUESTION, SENTENCE, Answering, answering
from kiban.bench.attacks.company import company
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import Audience
from kiban.domain.course import Course, Step, Told, Watched, step
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture


class Collector:
    """Takes traces by OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *said: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Receiver)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[Any]:
        told = map(ExportTraceServiceRequest.FromString, self.bodies)
        return [
            span
            for one in told
            for of in one.resource_spans
            for scope in of.scope_spans
            for span in scope.spans
        ]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@pytest.fixture(scope="module")
def house(collector: Collector) -> Iterator[Answering]:
    with (
        pytest.MonkeyPatch.context() as environment,
        Stage(Furniture(Settings()), scale=0.004, hashed=True) as stage,
        answering(stage) as running,
    ):
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # milliseconds
        settings = running.furniture.settings.model_copy(update={"otel_endpoint": collector.url})
        running.furniture.settings = settings
        yield running


def test_a_collector_receives_the_steps_of_an_answer_and_no_word_of_it(
    house: Answering, collector: Collector
) -> None:
    with house.client() as client:
        house.whole(client, QUESTION)
        with client.stream("POST", f"{house.url}/v1/chat/completions", json=_asked(stream=True)) as reply:
            next(reply.iter_lines())  # and hang up
    wait_for(lambda: sum(span.name == "answer" for span in collector.spans) == 2)
    spans = {span.name: span for span in collector.spans}
    assert {"answer", "search", "rewrite", "lane", "generate", "verify"} <= set(spans)
    roots = [span for span in collector.spans if span.name == "answer"]
    endings = {a.value.string_value for root in roots for a in root.attributes if a.key == "kiban.ending"}
    assert len(roots) == 2 and "answered" in endings
    assert [event.name for event in roots[0].events] == ["first text"]
    by_id = {span.span_id: span.name for span in collector.spans}
    assert by_id[spans["lane"].parent_span_id] == "search"
    assert by_id[spans["search"].parent_span_id] == by_id[spans["generate"].parent_span_id] == "answer"
    for span in collector.spans:
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
    sent = b"".join(collector.bodies)
    assert not [word for word in (QUESTION[:6], SENTENCE[:6], "宿泊", "person00") if word.encode() in sent]


def wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(200):
        if happened():
            return
        time.sleep(0.05)


def _asked(*, stream: bool) -> dict[str, object]:
    return {"model": "kiban", "messages": [{"role": "user", "content": QUESTION}], "stream": stream}


class Elsewhere(InMemorySpanExporter):
    """Notes which thread sends."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.threads.add(threading.get_ident())
        return super().export(spans)


def test_no_answer_waits_for_a_collector() -> None:
    memory = Elsewhere()
    watcher = OtelWatcher("http://nowhere", memory)
    watcher.saw(Watched(Course(), 9, None, "a", "q", {}))
    watcher.close()
    assert memory.get_finished_spans()
    assert threading.get_ident() not in memory.threads


def test_nothing_is_noted_where_nobody_watches() -> None:
    course = Course()
    with step("lost"):
        pass
    assert course.steps == []


def test_steps_within_steps_come_out_under_their_parents() -> None:
    def work() -> None:
        with step("search"):
            for lane in ("dense", "lexical"):
                with step("lane", lane=lane):
                    pass

    course = Course()
    course.watched(work)
    assert [(one.name, one.within) for one in course.steps] == [
        ("lane", "search"),
        ("lane", "search"),
        ("search", ""),
    ]
    course.steps.append(Step("generate", 5, 9))
    memory = InMemorySpanExporter()
    watcher = OtelWatcher("http://nowhere", memory)
    watched = Watched(
        course, course.began + 9, course.began + 5, "a", "q", {"citations": 2}, Told("問い", "答え")
    )
    watcher.saw(watched)
    watcher.close()
    spans = memory.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    above = [(span.name, names[span.parent.span_id]) for span in spans if span.parent]
    assert sorted(above) == [
        ("generate", "answer"),
        ("lane", "search"),
        ("lane", "search"),
        ("search", "answer"),
    ]
    assert not [span for span in spans if "問い" in str(span.to_json()) or "答え" in str(span.to_json())]


class Kept:
    """Stands in for MLflow, whose own test is with its server."""

    def __init__(self) -> None:
        self.seen: list[Watched] = []

    def saw(self, watched: Watched) -> None:
        self.seen.append(watched)

    def close(self) -> None: ...


def test_words_are_kept_of_what_everyone_may_read_and_of_nothing_else(house: Answering) -> None:
    kept = Kept()
    update = {"otel_endpoint": "", "mlflow_traces": 1.0}
    house.furniture.settings = house.furniture.settings.model_copy(update=update)
    house.furniture.__dict__["traces"] = kept
    with house.client() as client:
        house.whole(client, f"{QUESTION} 連絡先は 090-1234-5678 です")
        wait_for(lambda: len(kept.seen) == 1)
        company(house.stage).put("travel.md", [SENTENCE], Audience(frozenset({"group00"})))
        house.whole(client, QUESTION)
    founded = company(house.stage)
    founded.library.set_memberships("attacks", {"person00": frozenset({"group00"})})
    with house.client() as client:
        assert house.whole(client, QUESTION)["kiban"]["citations"]
    wait_for(lambda: len(kept.seen) == 3)
    words = [watched.told for watched in kept.seen]
    assert words[0] and "〔電話番号〕" in words[0].question and SENTENCE in words[0].answer
    assert words[2] is None
    assert kept.seen[0].asker == kept.seen[2].asker != "person00"
