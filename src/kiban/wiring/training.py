"""Curriculum → Weights: each training in a run of the registry, and none that has been done already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kiban.adapt import scrub
from kiban.backends.candidates import CURRICULUM, STAGES, CandidateFolder
from kiban.domain.learning import Cost, Curriculum, EveryonesPairs, Weights
from kiban.ports import LanguageTrainer, Progress
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.furniture import Furniture

if TYPE_CHECKING:  # seconds to import
    from kiban.backends.mlflow_registry import MlflowRun
    from kiban.backends.training import Log, Tell

    Train = Callable[[Log, Tell, Path, Progress], Weights]


class Training:
    """Trains what a candidate brings. Every step finds what an interrupted run has left."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture

    def train_embedder(self, written: Curriculum) -> Weights:
        """Teach by pairs, after reading where the settings ask for it."""
        from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer

        furniture, folder = self._furniture, self._clean(written)
        pairs = EveryonesPairs.of(written)
        base = self._read_by_embedder(written, folder) or furniture.base_embedder

        def train(log: Log, spent: Tell, out: Path, progress: Progress) -> Weights:
            trainer = SentenceTransformersTrainer(base.path, furniture.device, log=log, spent=spent)
            return trainer.train(pairs, out, progress)

        return self._once("embedder", written, folder, folder.embedder, train)

    def train_reranker(self, written: Curriculum) -> Weights | None:
        """Train a reranker; none where the settings do not ask for it."""
        furniture = self._furniture
        if not furniture.settings.train_reranker:
            return None
        from kiban.backends.cross_encoder_trainer import RerankerTrainer

        folder = self._clean(written)
        pairs = EveryonesPairs.of(written)
        base = furniture.base_reranker or furniture.base_embedder

        def train(log: Log, spent: Tell, out: Path, progress: Progress) -> Weights:
            trainer = RerankerTrainer(base.path, furniture.device, log=log, spent=spent)
            return trainer.train(pairs, out, progress)

        return self._once("reranker", written, folder, folder.reranker, train)

    def train_adapter(self, written: Curriculum) -> Weights:
        """Read, where the settings ask for it; be taught by examples; then, where people said what they want,
        let that move what was learnt."""
        from kiban.backends.trl import TrlTrainer

        furniture, settings = self._furniture, self._furniture.settings
        folder = self._clean(written)
        taught = folder.adapter if not written.preferences else folder.path / "adapter-taught"
        read = self._read_by_llm(written, folder)

        def train(log: Log, spent: Tell, out: Path, progress: Progress) -> Weights:
            trainer = TrlTrainer(
                furniture.base.weights.path,
                BASE_MODEL,
                rank=settings.lora_rank,
                epochs=settings.epochs,
                device=furniture.device,
                four_bits=settings.four_bits,
                begin=read.path if read else None,
                log=log,
                spent=spent,
            )
            return self._shared(trainer).train(written, out, progress)

        made = self._once("adapter", written, folder, taught, train)
        return self._prefer(written, folder, made) if written.preferences else made

    def _shared(self, trainer: LanguageTrainer) -> LanguageTrainer:
        """Return what trains the same by as many processes as the settings ask for."""
        settings = self._furniture.settings
        count, sharded = settings.training_processes, settings.training_sharded
        if count == 1:
            return trainer
        if settings.training_engine == "ray":
            from kiban.backends.ray_training import OnRay

            return OnRay(trainer, count, settings.ray_address, sharded=sharded)
        from kiban.backends.several import Several

        return Several(trainer, count, sharded=sharded)

    def _read_by_llm(self, written: Curriculum, folder: CandidateFolder) -> Weights | None:
        """Return the adapter that has read the texts of a curriculum; None where it is not to read."""
        furniture, settings = self._furniture, self._furniture.settings
        if "llm" not in settings.read_first or not written.texts:
            return None
        from kiban.backends.trl_reading import ReadingTrainer

        def train(log: Log, spent: Tell, out: Path, progress: Progress) -> Weights:
            trainer = ReadingTrainer(
                furniture.base.weights.path,
                BASE_MODEL,
                rank=settings.lora_rank,
                device=furniture.device,
                log=log,
                spent=spent,
            )
            return trainer.train(written.texts, out, progress)

        return self._once("reading", written, folder, folder.path / "adapter-read", train)

    def _read_by_embedder(self, written: Curriculum, folder: CandidateFolder) -> Weights | None:
        """Return the embedder that has read them; None where it is not to read."""
        furniture = self._furniture
        if "embedder" not in furniture.settings.read_first or not written.texts:
            return None
        from kiban.backends.masked_words import MaskedWordsTrainer

        def train(log: Log, spent: Tell, out: Path, progress: Progress) -> Weights:
            base = furniture.base_embedder.path
            trainer = MaskedWordsTrainer(base, furniture.device, log=log, spent=spent)
            return trainer.train(written.texts, out, progress)

        return self._once("masked words", written, folder, folder.path / "embedder-read", train)

    def _prefer(self, written: Curriculum, folder: CandidateFolder, taught: Weights) -> Weights:
        from kiban.backends.trl_kto import KtoTrainer

        furniture = self._furniture

        def train(log: Log, spent: Tell, out: Path, progress: Progress) -> Weights:
            base, device = furniture.base.weights.path, furniture.device
            trainer = KtoTrainer(base, BASE_MODEL, taught.path, device=device, log=log, spent=spent)
            return trainer.train(written.preferences, out, progress)

        return self._once("preferences", written, folder, folder.adapter, train)

    def _clean(self, written: Curriculum) -> CandidateFolder:
        """Return where what this curriculum becomes is kept. Raises if anything secret is in it."""
        scrub.require_clean(written, self._furniture.detector.findings)
        return self._furniture.candidate_folder(written)

    def _once(
        self, name: str, written: Curriculum, folder: CandidateFolder, made: Path, train: Train
    ) -> Weights:
        furniture = self._furniture

        def begin(out: Path) -> Weights:
            with furniture.registry.run(name, self._tags(written)) as run:
                _describe(run, folder, written)
                return train(run.log, _account(run, folder, made), out, furniture.stage(name))

        return folder.once(made, begin)

    def _tags(self, written: Curriculum) -> dict[str, str]:
        base = self._furniture.base
        return {"curriculum": written.sha256, "llm": base.setting, "llm_sha256": base.weights.sha256}


def _describe(run: MlflowRun, folder: CandidateFolder, written: Curriculum) -> None:
    """Say in a run what it learns from, and keep how it came about beside it; what everyone may read itself,
    too: whoever opens the registry sees it."""
    counts = {
        "examples": len(written.examples),
        "pairs": len(written.pairs),
        "preferences": len(written.preferences),
        "texts": len(written.texts),
    }
    run.learns_from("curriculum", written.sha256, f"kiban.curriculum/{written.sha256}", counts)
    for name in (CURRICULUM, STAGES) if written.audience.is_everyone else (STAGES,):
        run.keep(folder.path / name)


def _account(run: MlflowRun, folder: CandidateFolder, made: Path) -> Callable[[Cost], None]:
    """Return what notes the cost of something made, in its run and in its candidate's folder."""

    def spent(cost: Cost) -> None:
        folder.keep_cost(made.name, cost)
        measures = {"cost_seconds": cost.seconds, "cost_peak_bytes": float(cost.peak_bytes)}
        if cost.joules is not None:
            measures["cost_joules"] = cost.joules
        run.log(0, measures)

    return spent
