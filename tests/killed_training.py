"""A training in a process of its own, which kills itself with signal 9 where it is told to.

Run as a script: WHAT BASE OUT WHEN, where WHAT is "adapter" or "embedder", and WHEN is "step N" (after step
N), "saving N" (while its checkpoint is half written) or "ending" (while the checkpoints are removed,
with the weights in place).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from kiban.backends.checkpoints import Checkpoints
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.learning import Cost, Curriculum, Lineage, Question, TrainingExample, TrainingPair
from kiban.domain.question import Turn
from kiban.domain.text import Span

ALL = Audience(frozenset({EVERYONE}))
LINEAGE = Lineage(1, "rules.md", 1, "0" * 64)
SUBJECTS = ("有給休暇", "旅費", "部品", "交換", "規程", "給", "費", "部")


def killed(what: str, base: Path, out: Path, when: str) -> int:
    """Train in a new process; return its exit code, -9 if it was killed."""
    return subprocess.run(
        [sys.executable, __file__, what, str(base), str(out), when], check=False, capture_output=True
    ).returncode


def train(
    what: str, base: Path, out: Path, when: str = "", steps: list[int] | None = None
) -> tuple[str, Cost]:
    """Return the hash of the weights and what they cost; note each step told in `steps`."""
    costs: list[Cost] = []
    torch.set_num_threads(1)

    def progress(done: int, total: int, doing: str) -> None:
        if steps is not None:
            steps.append(done)
        if when == f"step {done}":
            os.kill(os.getpid(), signal.SIGKILL)

    if what == "adapter":
        from kiban.backends.trl import TrlTrainer

        trainer = TrlTrainer(base, "base", rank=8, epochs=2, batch=2, checkpoint_every=2, spent=costs.append)
        made = trainer.train(curriculum(), out, progress)
    else:
        from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer

        embedders = SentenceTransformersTrainer(
            base, batch=2, epochs=2, share=1.0, checkpoint_every=2, spent=costs.append
        )
        pairs = [TrainingPair(f"{one}何日", f"{one}規程", (), (LINEAGE,), ALL) for one in SUBJECTS]
        made = embedders.train(pairs, out, progress)
    return made.sha256, costs[0]


def _lay_trap(when: str) -> None:
    complete = Checkpoints.complete

    def die_before(self: Checkpoints, step: int, cost: Cost) -> None:
        if when == f"saving {step}":
            next((self.folder / f"checkpoint-{step}").glob("*.safetensors")).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        complete(self, step, cost)

    def die_midway(self: Checkpoints) -> None:
        assert self.newest is not None
        (self.newest / "trainer_state.json").unlink()
        (self.newest / "cost.json").unlink()
        os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints.complete = die_before  # type: ignore[method-assign]
    if when == "ending":
        Checkpoints.remove = die_midway  # type: ignore[method-assign]


def curriculum() -> Curriculum:
    examples = []
    for number in range(12):
        question = Question(f"寮費は{number}？", "答え", f"答えは{number}。", 1, Span(0, 5), LINEAGE, ALL)
        turns = (Turn("user", question.text),)
        examples.append(TrainingExample(question, turns, f"答えは{number}。", (LINEAGE,), ALL))
    return Curriculum(ALL, tuple(examples), (), "1", 1)


if __name__ == "__main__":
    _lay_trap(sys.argv[4])
    train(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
