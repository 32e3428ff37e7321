"""`kiban demo`: the whole loop on the bundled documents. Safe to interrupt: run it again and it continues."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.console import Console
from rich.rule import Rule

from kiban.cli.documents import stream_answer
from kiban.cli.learning import print_verdict
from kiban.cli.output import progress
from kiban.cli.stack import start
from kiban.domain.document import DocumentState
from kiban.domain.evidence import Outcome, Verdict
from kiban.settings import Settings, load

EMPLOYEE, HR = "tanaka", "sato"  # of the bundled company: an ordinary employee, and one of the HR group
OPERATOR = "mori"  # who runs the house, decides what is learnt, and reads its record
QUESTIONS = (
    (EMPLOYEE, "国内出張の宿泊費は1泊につきいくらまでですか。"),
    (EMPLOYEE, "PPR-9087の校正周期は何か月ですか。"),
    (HR, "2027年度の希望退職は何名を募りますか。"),
    (EMPLOYEE, "2027年度の希望退職は何名を募りますか。"),
    (EMPLOYEE, "社員食堂のカレーの値段はいくらですか。"),
)


def demo() -> None:
    """Show it all: start the stack, ingest, adapt, judge, release or not, and answer."""
    from flows.adapt import adapt
    from flows.ingest import ingest

    settings, console, clock = load(), Console(), Stopwatch(Console())
    clock.stage("1/4 The stack: Postgres, Prefect, MLflow, vLLM, chat")
    start(settings, quiet=False)
    clock.stage("2/4 Documents in")
    with progress(quiet=False):
        ingest(str(settings.documents))
    _print_documents(console)
    clock.stage("3/4 Documents become weights, and weights are judged")
    with progress(quiet=False):
        candidate_id = adapt(then_judge=True)
    _print_outcome(console, candidate_id)
    clock.stage("4/4 Answers, each from what its asker may read")
    for who, question in QUESTIONS:
        console.print(f"[bold]{who}[/]: {question}")
        stream_answer(question, who)
    console.print(Rule())
    _print_where(console, settings)
    console.print(f"Done in {clock.total / 60:.1f} min. The stack keeps running; `make down` stops it.")


@dataclass
class Stopwatch:
    """Says when each stage began."""

    console: Console
    began: float = 0.0

    def __post_init__(self) -> None:
        self.began = time.monotonic()

    @property
    def total(self) -> float:
        return time.monotonic() - self.began

    def stage(self, title: str) -> None:
        self.console.print(Rule(f"{title}  ({self.total:.0f} s)", align="left"))


def _print_documents(console: Console) -> None:
    from kiban.wiring import house

    documents = house().documents.all()
    ready = [document for document in documents if document.state is DocumentState.READY]
    audiences = {document.audience for document in ready}
    console.print(f"{len(ready)} documents ready, for {len(audiences)} different audiences.")
    for document in documents:
        if document.state is DocumentState.FAILED:
            console.print(f"  failed: {document.uri}: {document.reason}", markup=False)


def _print_outcome(console: Console, candidate_id: str) -> None:
    from kiban.wiring import house

    candidate = house().weights.candidate(candidate_id)
    verdict = house().evidence.verdict(candidate)
    print_verdict(verdict)
    release = house().releases.in_force()
    weights = release.adapter or "base model"
    console.print(f"{_outcome_words(verdict)} Release in force: {release.id} ({weights}).")
    console.print(f"Report: {house().evidence.report(candidate)}", soft_wrap=True)


def _outcome_words(verdict: Verdict) -> str:
    match verdict.outcome:
        case Outcome.PASS:
            return "The candidate earned its release."
        case Outcome.FAIL:
            return "The candidate is worse somewhere: nothing changes."
        case Outcome.CANNOT_TELL:
            return "The evidence does not tell: nothing changes."


def _print_where(console: Console, settings: Settings) -> None:
    from kiban.stack import environment
    from kiban.wiring import house

    chat = f"http://{settings.host}:{settings.chat_port}"
    where = {
        **{f"Chat page as {who}": f"{chat}/#token={house().answers.token(who)}" for who in (EMPLOYEE, HR)},
        f"Page of those who run it, as {OPERATOR}": f"{chat}/operate#token={house().answers.token(OPERATOR)}",
        "Prefect": environment.prefect_api(settings).removesuffix("/api"),
        "MLflow": environment.mlflow_uri(settings),
    }
    for name, url in where.items():
        console.print(f"{name}: {url}", soft_wrap=True, markup=False, highlight=False)
    body = '{"model":"kiban","messages":[{"role":"user","content":"' + QUESTIONS[0][1] + '"}]}'
    bearer = f"$(.venv/bin/kiban token --as {EMPLOYEE})"
    console.print(
        f"curl {chat}/v1/chat/completions -H 'Content-Type: application/json' "
        f"-H \"Authorization: Bearer {bearer}\" -d '{body}'",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
