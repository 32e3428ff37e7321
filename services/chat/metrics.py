"""Counts and times for Prometheus. Nothing here says who asked, or what."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.domain.question import Answer

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Metrics:
    """The meters of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = self._counter("kiban_chat_requests", "Requests", ["route", "status"])
        self.seconds = self._histogram("kiban_chat_seconds", "Seconds per request", ["route"])
        self.first_text = self._histogram("kiban_chat_first_text_seconds", "Seconds to the first text", [])
        self.answers = self._counter("kiban_chat_answers", "Answers", [])
        self.abstentions = self._counter("kiban_chat_abstentions", "Answers that abstain", [])
        self.failed = self._counter(
            "kiban_chat_failed_answers", "Answers that no model wrote to their end", []
        )
        self.citations = self._counter("kiban_chat_citations", "Proven quotations", [])
        self.refused_quotes = self._counter("kiban_chat_refused_quotes", "Quotations not verbatim", [])
        self.tokens = self._counter("kiban_chat_tokens", "Tokens, as the model server counts", ["kind"])
        self.last_text = self._histogram("kiban_chat_answer_seconds", "Seconds to an answer's end", [])
        self.under_way = Gauge(
            "kiban_chat_answers_under_way", "Answers being written now", registry=self._registry
        )
        self.refusals = self._counter(
            "kiban_chat_refusals", "Answers that the company's policy refused or broke off", ["rule"]
        )

    def page(self) -> bytes:
        return generate_latest(self._registry)

    async def watch(
        self, answering: AsyncIterator[str | Answer], asked: float
    ) -> AsyncIterator[str | Answer]:
        """Pass an answer on and measure it. `asked` is a time.perf_counter()."""
        waiting = True
        async with aclosing(answering):  # type: ignore[type-var]
            with self.under_way.track_inprogress():
                async for piece in answering:
                    if waiting:
                        self.first_text.observe(time.perf_counter() - asked)
                        waiting = False
                    if isinstance(piece, Answer):
                        self.last_text.observe(time.perf_counter() - asked)
                        self._count(piece)
                    yield piece

    def _count(self, answer: Answer) -> None:
        self.answers.inc()
        self.abstentions.inc(answer.abstained)
        self.failed.inc(answer.failed)
        if answer.usage:
            self.tokens.labels("read").inc(answer.usage.prompt_tokens)
            self.tokens.labels("written").inc(answer.usage.completion_tokens)
        if answer.refused_by:
            self.refusals.labels(answer.refused_by).inc()
        self.citations.inc(len(answer.citations))
        self.refused_quotes.inc(answer.refused_quotes)

    def _counter(self, name: str, about: str, labels: list[str]) -> Counter:
        return Counter(name, about, labels, registry=self._registry)

    def _histogram(self, name: str, about: str, labels: list[str]) -> Histogram:
        return Histogram(name, about, labels, buckets=SECONDS, registry=self._registry)


class MeasureRequests:
    """ASGI middleware: count and time every request by its route, never by its address."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
