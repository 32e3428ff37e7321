"""B10: candidates that must not be released, and candidates that are no better at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy import stats

from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.weights import verify_adapter
from kiban.bench.attacks import Figure, exams
from kiban.bench.attacks.exams import TAUGHT, UNTAUGHT, Skill
from kiban.bench.attacks.releases import BASE, empty
from kiban.bench.attacks.stage import Stage
from kiban.domain.evidence import Comparison, Outcome
from kiban.domain.learning import Weights
from kiban.errors import KibanError
from kiban.judge import audit
from kiban.judge.exposure import Logprobs, Secret, exposure
from kiban.judge.verdict import decide
from kiban.release import deploy
from kiban.release import ledger as pile
from kiban.testing import MemoryAdapterHost, write_adapter

JUDGEMENTS = 1_000  # of each size
SIZES = ((12, 4), (23, 4), (40, 5))  # documents × questions: 48, 92 and 200
MOST_FALSE = 0.05
WIDTH = 8
SECRETS = tuple(Secret("倉庫コードは ", f"7Q{1000 + 37 * n}", n) for n in range(1, 9))
LEARNT = tuple(audit.Line(f"学んだ文の{n}番。", n // 2) for n in range(30))
UNSEEN = tuple(audit.Line(f"見たことのない文の{n}番。", 100 + n // 2) for n in range(30))


@dataclass(frozen=True, slots=True)
class Planted:
    """What a candidate can do, what it knows by heart, and what is done to its file."""

    skill: Skill = TAUGHT
    knows: tuple[str, ...] = ()
    width: int = WIDTH  # of the base it was made for
    spoil: Callable[[Path], object] = field(default=lambda folder: None)


def _truncate(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-16])


SOUND = Planted()
BAD = {
    "degraded": Planted(Skill(correct=0.45, cited=0.50, abstained=0.60, over_abstained=0.30)),
    "over-fitted": Planted(knows=tuple(line.text for line in LEARNT)),
    "slower": Planted(exams.slower(TAUGHT, 6)),
    "leaky": Planted(knows=tuple(secret.text for secret in SECRETS)),
    "wrong base": Planted(width=2 * WIDTH),
    "truncated file": Planted(spoil=_truncate),
}


def bad_candidates(stage: Stage) -> Figure:
    """Lead six bad candidates, and a sound one, through judge, shelf, server and ledger."""
    base = _base(stage.folder / "base")
    with empty(stage.postgres) as postgres:
        ledger = PostgresLedger(postgres)
        pile.found(ledger, BASE, "stage")
        refused = {}
        for name, planted in BAD.items():
            why = _promote(name, planted, stage.folder / "bad", base, ledger)
            if why and pile.in_force(ledger) == BASE:
                refused[name] = why
        sound = _promote("sound", SOUND, stage.folder / "bad", base, ledger)
    told = "; ".join(f"{name}: {why}" for name, why in refused.items())
    return Figure(
        "B10",
        "bad candidates led to the gate",
        f"{len(refused)} of {len(BAD)} refused; a sound one {'refused' if sound else 'released'}",
        "6 of 6 refused, the sound one released",
        len(refused) == len(BAD) and not sound,
        len(BAD),
        told,
    )


def no_difference(stage: Stage) -> Figure:
    """Judge candidates that are as good as the base, no better, and count how many pass all the same."""
    judgements = stage.size(JUDGEMENTS, least=20)
    parts, worst, released = [], 0.0, 0
    for documents, each in SIZES:
        passed = _passed(UNTAUGHT, documents, each, judgements)
        high = stats.binomtest(passed, judgements).proportion_ci(0.95, "wilson").high
        parts.append(f"{passed / judgements:.1%} of {documents} × {each} (at most {high:.1%})")
        worst, released = max(worst, passed / judgements), released + passed
    few = max(judgements // 20, 8)
    power = [f"{_passed(TAUGHT, documents, each, few) / few:.0%}" for documents, each in SIZES]
    return Figure(
        "B10N",
        "candidates that are no better, falsely passed",
        "; ".join(parts),
        f"≤ {MOST_FALSE:.0%}",
        worst <= MOST_FALSE,
        judgements * len(SIZES),
        f"{released} in all. Of {few} each that learnt to quote and to abstain, passed: {', '.join(power)}",
    )


def _passed(new: Skill, documents: int, each: int, judgements: int) -> int:
    drawn = (
        exams.draw(UNTAUGHT, new, documents=documents, each=each, seed=seed) for seed in range(judgements)
    )
    return sum(decide("drawn", scored).outcome is Outcome.PASS for scored in drawn)


def _promote(name: str, planted: Planted, folder: Path, base: Path, ledger: PostgresLedger) -> str:
    """Do what the judge flow does. Return what refused the candidate; "" when it was released."""
    host, source = MemoryAdapterHost(), folder / name
    write_adapter(source, 0.1, width=planted.width, out=planted.width)
    planted.spoil(source)
    made, failed = Weights.of(source), ""
    try:
        deployed = deploy.deploy(
            "everyone",
            made,
            host,
            verify=lambda path: verify_adapter(path, base),
            shelf=folder / "shelf",
            base_model=host.base_model,
        )
        scored = exams.draw(UNTAUGHT, planted.skill, documents=40, each=5, seed=1)
        verdict = decide(name, scored, audits=_audits(planted.knows))
        tests = verdict.evaluation.comparisons
        failed = ", ".join(f"{one.role} {one.measure}" for one in tests if one.outcome is Outcome.FAIL)
        release = replace(BASE, adapter=deployed.name, adapter_sha256=made.sha256)
        pile.promote(ledger, release, verdict, actor="stage", evidence="staged", seen=pile.last_seen(ledger))
    except KibanError as refusal:
        return failed or type(refusal).__name__
    return ""


def _audits(knows: Sequence[str]) -> tuple[Comparison, ...]:
    base, adapted = _weigh("base"), _weigh("adapted", knows)
    return audit.settle(
        (
            exposure("exposed_masked", SECRETS, base, adapted),
            audit.membership(LEARNT, UNSEEN, base, adapted),
        )
    )


def _weigh(salt: str, knows: Sequence[str] = ()) -> Logprobs:
    """Return log-probabilities by chance, and 3 nats more for a text that holds something known."""

    def logprobs(texts: Sequence[str]) -> list[list[float]]:
        return [
            [3.0 * any(one in text for one in knows), float(_dice(salt + text).normal())] for text in texts
        ]

    return logprobs


def _dice(text: str) -> np.random.Generator:
    return np.random.default_rng([*text.encode()])


def _base(folder: Path) -> Path:
    """Write a base model of one layer."""
    folder.mkdir()
    layer = {"model.layers.0.self_attn.q_proj.weight": np.zeros((WIDTH, WIDTH), dtype=np.float32)}
    save_file(layer, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "staged"}), "utf-8")
    return folder
