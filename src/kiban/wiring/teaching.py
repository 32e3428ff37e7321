"""What a teacher answers to the examples of a curriculum."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from kiban.adapt import distil
from kiban.answer import prompt
from kiban.answer.converse import LONGEST_ANSWER
from kiban.backends.vllm_generator import VllmGenerator
from kiban.domain.learning import Author, Curriculum, Lineage, Stage, TrainingExample
from kiban.errors import NotPermitted
from kiban.judge import measures
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import Releases

AT_ONCE = 16  # examples under way at the server
SERVED = "served"  # the setting for: whatever answers everyone now


class Teaching:
    """Has a curriculum's targets written anew, where the settings name a teacher.

    A server that the settings name by its address is asked about what everyone may read and about nothing
    else, as the one that is compared with when judging. For a zone, what answers everyone may teach: never
    the adapter of another zone.
    """

    def __init__(self, furniture: Furniture, releases: Releases) -> None:
        self._furniture = furniture
        self._releases = releases

    def teach(self, written: Curriculum) -> tuple[Curriculum, Stage]:
        """Raises NotPermitted for a zone's curriculum and somebody else's server, PartUnavailable."""
        furniture = self._furniture
        served = furniture.settings.teacher == SERVED
        if not served and not written.audience.is_everyone:
            raise NotPermitted(
                f"A curriculum for {written.audience} may not leave this house.",
                mend='teacher = "served", or none, where zones are trained',
            )
        model = (
            (self._releases.in_force().adapter or BASE_MODEL) if served else furniture.settings.teacher_model
        )
        generator = furniture.base.generator if served else furniture.teacher
        examples = distil.asked(written)
        answers = asyncio.run(self._answers(generator, model, examples))
        return distil.distil(written, answers, self._teacher(model, served=served))

    def _teacher(self, model: str, *, served: bool) -> distil.Teacher:
        furniture = self._furniture
        name = f"{furniture.base.title} {model}" if served else model
        fixed = prompt.PROMPT_VERSION.encode()
        return distil.Teacher(
            Author(name, hashlib.sha256(fixed).hexdigest()),
            prompt.is_abstention,
            measures.contains,
            self._learnt_from() if served else (),
            furniture.detector.findings,
        )

    def _learnt_from(self) -> tuple[Lineage, ...]:
        """Return what the adapter in force saw: when that goes, what it taught goes, too."""
        adapter = self._releases.in_force().adapter_sha256
        folder = self._furniture.candidates.holding(adapter) if adapter else None
        if adapter and folder is None:
            raise NotPermitted(
                "Nobody knows what the adapter in force has learnt from.", mend="teacher in the settings"
            )
        return folder.curriculum().lineage if folder else ()

    async def _answers(
        self, generator: VllmGenerator, model: str, examples: Sequence[TrainingExample]
    ) -> list[str]:
        free, done = asyncio.Semaphore(AT_ONCE), 0
        progress = self._furniture.stage("teacher")

        async def one(example: TrainingExample) -> str:
            nonlocal done
            async with free:
                pieces = generator.stream(example.prompt, model=model, max_tokens=LONGEST_ANSWER)
                answer = "".join([piece async for piece in pieces if isinstance(piece, str)])
            progress(done := done + 1, len(examples), "teacher")
            return answer

        async with generator:
            return list(await asyncio.gather(*map(one, examples)))
