"""B2 and B3: weights that depend on others' files, and curricula that mix zones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from kiban.bench.attacks import Figure
from kiban.bench.attacks.releases import empty
from kiban.bench.attacks.stage import Stage
from kiban.bench.attacks.zoned import BOTH, HR, LAB, ZonedHouse, make_models, naming_itself, zone
from kiban.domain.access import ALL, NOBODY, Audience
from kiban.domain.learning import Curriculum, QuestionKind, Weights
from kiban.errors import KibanError, MixedAudience

EVERYBODY = (ALL, HR, LAB, BOTH)
MUTATIONS = 100  # for each trainer
ALIENS = (HR, LAB, BOTH, NOBODY, zone("board"))
Train = Callable[[Curriculum], object]
_HOUSES = count()


def models(stage: Stage) -> Path:
    return make_models(stage.folder / "tiny")


def weights_apart(stage: Stage) -> Figure:
    """Train with all documents there are, and with those alone that the readers of the weights may read.

    Curricula of every zone there is are written first, in the same order: what judges one zone is kept out of
    what the others learn, as far as their readers may read it.
    """
    full = dict(_trained(stage, EVERYBODY, EVERYBODY))
    differ = []
    for audience in EVERYBODY:
        readable = [other for other in EVERYBODY if other.covers(audience)]
        alone = dict(_trained(stage, readable, [audience]))
        differ += [name for name, made in alone.items() if made.sha256 != full[name].sha256]
    (_, control), *_ = _trained(stage, [ALL], [ALL], more=1)
    unseen = control.sha256 == full["adapter of everyone"].sha256
    told = f"{len(differ)} of {len(full)} differ" + (f": {', '.join(differ)}" if differ else "")
    return Figure(
        "B2",
        "weights trained with and without the files of zones their readers may not read, by sha256",
        told + ("; and one file more of their own changed nothing" if unseen else ""),
        "0 differ",
        not differ and not unseen,
        len(full),
        "adapters of everyone, of two groups and of both, and the embedder; models of 60,000 parameters; "
        "one more document of their own does change them",
    )


def _trained(
    stage: Stage, stored: Sequence[Audience], learning: Sequence[Audience], more: int = 0
) -> Iterator[tuple[str, Weights]]:
    """Yield what is trained for each of `learning` where the documents of `stored` are kept."""
    state = stage.folder / f"house-{next(_HOUSES)}"
    with empty(stage.postgres) as postgres, naming_itself().serving() as url:
        company = ZonedHouse(postgres, state, stage.once(models), url, question_kinds=_kinds(stage))
        try:
            company.put(*stored)
            if more:
                company.put_one(ALL, 100)
            making = company.house.weights
            written = {audience: making.write_curriculum(audience) for audience in stored}
            for audience in learning:
                yield f"adapter of {audience}", making.train_adapter(written[audience])
                if audience.is_everyone:
                    yield "embedder", making.train_embedder(written[audience])
        finally:
            company.close()


def _kinds(stage: Stage) -> list[QuestionKind]:
    """Return the kinds of questions that are learnt from: all of them where the stage is whole."""
    return list(QuestionKind)[: stage.size(len(QuestionKind), least=1)]


def mixed_curricula(stage: Stage) -> Figure:
    """Put one example that not every reader may read into a curriculum, in any of its places, and train."""
    dice, caught, tried, passed = Random(3), 0, 0, 0
    with empty(stage.postgres) as postgres, naming_itself().serving() as url:
        state = stage.folder / f"house-{next(_HOUSES)}"
        company = ZonedHouse(postgres, state, stage.once(models), url, question_kinds=_kinds(stage))
        try:
            company.put(*EVERYBODY)
            written = {audience: company.house.weights.write_curriculum(audience) for audience in EVERYBODY}
            for audience in EVERYBODY[1:]:  # a whole curriculum of a zone, for what serves everyone
                tried += 1
                caught += _refused(company.house.weights.train_embedder, written[audience])
        finally:
            company.close()
    doors = _doors()
    for train, for_everyone in doors.values():
        for _ in range(stage.size(MUTATIONS, least=20)):
            audience = ALL if for_everyone else dice.choice(EVERYBODY)
            tried += 1
            caught += _refused(train, _mixed(written[audience], dice, pairs=for_everyone))
        passed += not _refused(train, written[ALL])
    return Figure(
        "B3",
        f"one example of others in a curriculum, at each door ({', '.join(doors)})",
        f"{caught} of {tried} refused; {passed} of {len(doors)} honest ones let through",
        "all, and every honest one let through",
        caught == tried and passed == len(doors),
        tried,
        "refused by type, before any weights are read",
    )


def _doors() -> dict[str, tuple[Train, bool]]:
    """Return what may be given a curriculum, and whether it serves everyone. The bases of trainers do not
    exist: what is refused is refused before they are looked for."""
    from kiban.backends.cross_encoder_trainer import RerankerTrainer
    from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer
    from kiban.backends.trl import TrlTrainer

    nowhere = Path("nowhere")

    def embedder(written: Curriculum) -> Weights:
        pairs: Any = written.pairs  # as they are: it is the trainer that has to look
        return SentenceTransformersTrainer(nowhere).train(pairs, nowhere, _silent)

    def reranker(written: Curriculum) -> Weights:
        pairs: Any = written.pairs
        return RerankerTrainer(nowhere).train(pairs, nowhere, _silent)

    return {
        "curriculum": (replace, False),
        "adapter's trainer": (
            lambda written: TrlTrainer(nowhere, "").train(written, nowhere, _silent),
            False,
        ),
        "embedder's trainer": (embedder, True),
        "reranker's trainer": (reranker, True),
    }


def _mixed(honest: Curriculum, dice: Random, *, pairs: bool) -> Curriculum:
    """Return a curriculum as a file might hold it: it was not asked whether it is one."""
    mixed = copy(honest)
    alien = dice.choice([other for other in ALIENS if not other.covers(honest.audience)])
    learnt: list[Any] = list(honest.pairs if pairs else honest.examples)
    at = dice.randrange(len(learnt))
    if pairs or dice.random() < 0.5:
        learnt[at] = replace(learnt[at], audience=alien)
    else:
        learnt[at] = replace(learnt[at], question=replace(learnt[at].question, audience=alien))
    object.__setattr__(mixed, "pairs" if pairs else "examples", tuple(learnt))
    return mixed


def _silent(done: int, total: int, what: str) -> None: ...


def _refused(train: Train, written: Curriculum) -> bool:
    try:
        train(written)
    except MixedAudience:
        return True
    except (KibanError, OSError):  # it went on to look for its base, which is nowhere
        return False
    return False
