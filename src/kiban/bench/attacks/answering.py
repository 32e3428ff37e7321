"""A house that answers over HTTP for the attacks on serving: real Postgres, ledger, records and chat service,
with model servers that fail when told to."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.schema import READER, WRITER
from kiban.bench.attacks.company import Company, company
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import ALL
from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.learning import Weights
from kiban.domain.question import Turn
from kiban.domain.release import Release
from kiban.ports import Embedder
from kiban.release import ledger as pile
from kiban.settings import Settings
from kiban.testing import ModelServer, write_adapter
from kiban.testing.proxy import CuttingProxy
from kiban.wiring.answers import Answers
from kiban.wiring.conversations import Conversations
from kiban.wiring.documents import Documents
from kiban.wiring.feedback import FeedbackDesk
from kiban.wiring.furniture import Furniture
from kiban.wiring.office import Office
from kiban.wiring.records import Records
from kiban.wiring.releases import Releases
from kiban.wiring.views import Views

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.chat.quota import Quota

SILENCE = 1.0  # seconds a model server of the stage's may say nothing
LONGEST_WAIT = 600.0  # seconds for a real one, on a machine that has other work
ASKERS = 4  # at once
QUESTION = "国内出張の宿泊費はいくらですか。"
SENTENCE = "国内出張の宿泊費は11,000円を上限とする。"
WRITTEN = f"11,000円です。「{SENTENCE}」[1]"
PASSED = Verdict(
    Outcome.PASS,
    ("Staged.",),
    Evaluation("staged", {}, (), 0, 0, 0.0),
    embedder_earned=True,
    adapter_earned=True,
)


@dataclass(frozen=True, slots=True)
class Received:
    """What one asker got, whole."""

    status: int
    text: str
    ended: bool  # with its last event, and no error
    failed: bool  # a notice stands in for what no model wrote
    retry_after: str
    release: str
    silence: float  # seconds, the longest

    @property
    def answered(self) -> bool:
        return self.status == 200 and self.ended and not self.failed and SENTENCE in self.text

    @property
    def shown_what_was_found(self) -> bool:
        """The answer is not there, or broke off, and says so above the documents that were found."""
        return self.status == 200 and self.ended and self.failed and "見つかった資料" in self.text


class StagedFurniture(Furniture):
    """The house's furniture on the stage's Postgres, which is reached through a proxy."""

    def __init__(
        self,
        stage: Stage,
        founded: Company,
        urls: Sequence[str],
        postgres_port: int,
        silence: float,
        **said: Any,
    ) -> None:
        state = stage.folder / "answering"
        super().__init__(Settings(state=state, vllm_urls=tuple(urls), silence_seconds=silence, **said))
        self._stage, self._founded, self._port = stage, founded, postgres_port

    @cached_property
    def postgres(self) -> Postgres:
        server = self._stage.postgres
        writer, reader = (
            server.dsn(role).replace(f":{server.port}/", f":{self._port}/") for role in (WRITER, READER)
        )
        return Postgres(writer, reader)

    @cached_property
    def llm(self) -> Weights:
        return Weights(self._stage.folder, "0" * 64)

    @cached_property
    def base_embedder(self) -> Weights:
        return Weights(Path("attacks"), "attacks")

    def embedder(self, weights: Weights) -> Embedder:  # type: ignore[override]
        return self._stage.embedder

    def generation(self, embedder: Weights, tokenizer: str | None = None, chunking: str | None = None) -> int:
        return self._founded.generation


class Answering:
    """The running house, and people who ask it."""

    def __init__(
        self,
        stage: Stage,
        servers: Sequence[ModelServer],
        urls: Sequence[str],
        url: str,
        proxy: CuttingProxy,
        furniture: StagedFurniture,
        app: FastAPI,
    ) -> None:
        self.app = app
        self.servers, self.url, self.proxy = servers, url, proxy
        self.furniture = furniture
        self.releases = Releases(furniture)
        self.stage = stage

    def ask(self, client: httpx.Client) -> Received:
        """Ask as a client that streams does, noting the longest silence."""
        body = {"model": "kiban", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
        last, longest, text, done, sources = time.monotonic(), 0.0, "", False, dict[str, Any]()
        with client.stream("POST", f"{self.url}/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                last, longest = time.monotonic(), max(longest, time.monotonic() - last)
                if not line.startswith("data: "):
                    continue
                if line == "data: [DONE]":
                    done = True
                    continue
                event = json.loads(line.removeprefix("data: "))
                text += "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))
                sources = event.get("kiban", sources)
        return Received(
            response.status_code, text, done, bool(sources.get("failed")),
            response.headers.get("Retry-After", ""), sources.get("release", ""), longest,
        )  # fmt: skip

    def ask_all(self, count: int) -> list[Received]:
        """Let people ask `count` questions, a few at once."""
        left, received = itertools.count(), list[Received]()

        def asker() -> None:
            with self.client() as client:
                while next(left) < count:
                    received.append(self.ask(client))

        askers = [threading.Thread(target=asker) for _ in range(ASKERS)]
        for each in askers:
            each.start()
        for each in askers:
            each.join()
        return received

    def client(self, subject: str = "person00") -> httpx.Client:
        """Return what a person asks with."""
        token = self.furniture.issuer.issue(subject, 1, self.furniture.settings.token_audience)
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(headers=headers, timeout=LONGEST_WAIT, trust_env=False)

    def whole(self, client: httpx.Client, question: str) -> dict[str, Any]:
        """Ask as a client that waits for the whole answer, and return its reply."""
        body = {"model": "kiban", "messages": [{"role": "user", "content": question}]}
        reply = client.post(f"{self.url}/v1/chat/completions", json=body)
        reply.raise_for_status()
        return dict(reply.json())

    def adapted(self, number: int, **layer: int) -> Release:
        """Return a release whose adapter every server holds. `layer` is the size of its model's first."""
        folder = self.stage.folder / f"adapter-{number}"
        made = Weights.of(folder) if folder.exists() else write_adapter(folder, 0.1 * number, **layer)
        name = f"everyone@{made.sha256[:8]}"
        release = replace(
            self.releases.base, adapter=name, adapter_path=str(folder), adapter_sha256=made.sha256
        )
        self.releases.converge(release)
        return release

    def promote(self, release: Release) -> None:
        ledger = self.furniture.ledger
        pile.promote(ledger, release, PASSED, actor="stage", evidence="", seen=pile.last_seen(ledger))


@contextmanager
def answering(
    stage: Stage,
    servers: int = 1,
    *,
    urls: Sequence[str] = (),
    quota: Quota | None = None,
    **said: Any,
) -> Iterator[Answering]:
    """Start a house with so many model servers of the stage's, or with the real ones at these addresses, and
    with whatever else its settings say."""
    with ExitStack() as running:
        silence = LONGEST_WAIT if urls else SILENCE
        models = [] if urls else [ModelServer(_write) for _ in range(servers)]
        urls = urls or [running.enter_context(model.serving()) for model in models]
        proxy = CuttingProxy("127.0.0.1", stage.postgres.port)
        running.callback(proxy.close)
        founded = company(stage)
        founded.put("travel.md", [SENTENCE], ALL)
        furniture = StagedFurniture(stage, founded, urls, proxy.port, silence, **said)
        app, url = running.enter_context(serving_chat(furniture, quota))
        yield Answering(stage, models, urls, url, proxy, furniture, app)


@contextmanager
def serving_chat(
    furniture: StagedFurniture, quota: Quota | None = None, kind: type[Answers] = Answers
) -> Iterator[tuple[FastAPI, str]]:
    """Serve the chat of a house that is founded first, with answers of this kind; give app and address."""
    from services.chat.app import create_app
    from services.chat.quota import Quota
    from services.chat.testing import listening

    logging.getLogger("kiban.answer.steady").setLevel(logging.ERROR)  # every fault is a warning there
    with closing(furniture):
        releases = Releases(furniture)
        pile.found(furniture.ledger, releases.base, "stage")
        answers = kind(furniture, releases, Records(furniture))
        often = quota or Quota(requests=10**6, answers=10**6)  # one person asks it all
        views, office = Views(furniture), Office(furniture, Documents(furniture))
        app = create_app(answers, FeedbackDesk(furniture), Conversations(furniture), views, office, often)
        with listening(app) as url:
            yield app, url


def _write(turns: Sequence[Turn], model: str) -> str:
    return WRITTEN
