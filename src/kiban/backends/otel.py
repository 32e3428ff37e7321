"""ports.Watcher: every answer as a trace, sent by OTLP over HTTP (OpenTelemetry).

Attributes are names of steps, numbers and hashes: no word of a question, a document or an answer.
"""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, set_span_in_context

from kiban.domain.course import Watched

SECOND = 1_000_000_000  # nanoseconds


class OtelWatcher:
    """Hands spans to a thread that sends them in batches; a collector that does not answer delays nobody."""

    def __init__(self, endpoint: str, exporter: SpanExporter | None = None) -> None:
        """`endpoint` is a collector's, without /v1/traces, e.g. http://collector:4318."""
        self._provider = TracerProvider(resource=Resource.create({"service.name": "kiban-chat"}))
        sending = exporter or OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
        self._provider.add_span_processor(BatchSpanProcessor(sending))
        self._tracer = self._provider.get_tracer("kiban")

    def saw(self, watched: Watched) -> None:
        named: dict[str, Span] = {"": self._tracer.start_span("answer", start_time=watched.course.began)}
        root = named[""]
        root.set_attributes({f"kiban.{name}": value for name, value in watched.about.items()})
        if watched.first_text:
            root.add_event("first text", timestamp=watched.first_text)
        # A step is noted when it ends, so what it is a part of comes behind it; parents begin first.
        for step in sorted(watched.course.steps, key=lambda step: (step.start, -step.end)):
            above = set_span_in_context(named.get(step.within, root))
            span = self._tracer.start_span(step.name, above, start_time=step.start)
            span.set_attributes({f"kiban.{name}": value for name, value in step.about.items()})
            span.end(step.end)
            named[step.name] = span
        root.end(watched.ended)

    def close(self) -> None:
        self._provider.shutdown()
