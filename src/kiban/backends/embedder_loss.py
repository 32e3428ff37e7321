"""What an embedder is taught by: find the answer, and leave the rest where the base had it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CachedGISTEmbedLoss, MatryoshkaLoss

Embedded = list[list[torch.Tensor]]  # by column, by part of the batch: questions, answers, look-alikes


class GuidedLoss(CachedGISTEmbedLoss):
    """Contrast with a guide's veto (GISTEmbed, arXiv 2402.16829) plus what the guide itself would say.

    The guide is the frozen base. Where it finds a negative closer than the answer, that one is struck out;
    every similarity in the batch but those of a question to its own answer is pulled to the guide's
    (similarity-preserving distillation, arXiv 1907.09682). Its vectors are there already: it costs nothing.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        guide: SentenceTransformer,
        *,
        temperature: float,
        part: int,
        keep: float,
    ) -> None:
        """`part`: texts that pass through at once. `keep`: weight of the pull, in squares of temperatures."""
        super().__init__(
            model, guide=guide, temperature=temperature, mini_batch_size=part, contrast_positives=False
        )
        self.keep = keep

    def calculate_loss(
        self, reps: Embedded, reps_guided: Embedded, *, with_backward: bool = False
    ) -> torch.Tensor:
        loss = super().calculate_loss(reps, reps_guided, with_backward=with_backward)
        if not self.keep:
            return loss
        pull = self.keep * moved(reps, reps_guided, self.temperature)
        if with_backward:
            pull.backward()  # type: ignore[no-untyped-call]
            pull = pull.detach()
        return loss + pull


def moved(reps: Embedded, reps_guided: Embedded, temperature: float) -> torch.Tensor:
    """Return the mean square by which cosines between different texts moved, in temperatures.

    A question and its own answer do not count: they are to move.
    """
    ours, theirs = (_cosines([torch.cat(column) for column in side]) for side in (reps, reps_guided))
    questions = sum(len(part) for part in reps[0])
    counted = ~torch.eye(len(ours), dtype=torch.bool, device=ours.device)
    at = torch.arange(questions, device=ours.device)
    counted[at, at + questions] = counted[at + questions, at] = False
    return ((ours - theirs)[counted] / temperature).square().mean()


def _cosines(columns: Sequence[torch.Tensor]) -> torch.Tensor:
    unit = torch.nn.functional.normalize(torch.cat(list(columns)).float(), dim=1)
    return unit @ unit.T


def at_every_length(
    model: SentenceTransformer, loss: torch.nn.Module, lengths: Sequence[int]
) -> torch.nn.Module:
    """Have a loss hold for vectors cut to these numbers of dimensions, too (Matryoshka, arXiv 2205.13147)."""
    whole = int(model.get_embedding_dimension() or 0)
    shorter = sorted({length for length in lengths if length < whole}, reverse=True)
    return MatryoshkaLoss(model, loss, [whole, *shorter]) if shorter else loss
