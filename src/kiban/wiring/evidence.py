"""Candidate → Evaluation → Verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kiban.answer.converse import converse
from kiban.backends.candidates import CandidateFolder
from kiban.domain.access import Audience, Principal
from kiban.domain.evidence import Arm, Comparison, Outcome, Scored, Verdict
from kiban.domain.learning import Candidate, Question, QuestionKind
from kiban.domain.question import Answer, Passage
from kiban.domain.release import Release
from kiban.errors import NotEarned, NotPermitted
from kiban.judge import arms, report, verdict
from kiban.judge.economy import Prices
from kiban.release import deploy
from kiban.wiring.answers import Answers
from kiban.wiring.audits import Audits
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.examining import Examining, exam
from kiban.wiring.furniture import Furniture
from kiban.wiring.other_base import OtherBase
from kiban.wiring.releases import Releases
from kiban.wiring.weights import OUTSIDER

RANKED = 10  # passages by which retrieval is judged


class Evidence:
    """What the judge flow does."""

    def __init__(
        self, furniture: Furniture, releases: Releases, answers: Answers, other_base: OtherBase
    ) -> None:
        self._furniture = furniture
        self._releases = releases
        self._answers = answers
        self._examining = Examining(answers)
        self._other_base = other_base

    def judge(self, candidate: Candidate, *, again: bool = False) -> Verdict:
        """Judge on documents the candidate never saw: its embedder, its reranker, its adapter in four arms;
        or another base model against all that answers now.

        Each is asked with what was earned before it, as it would be released. Nothing that answers changes.
        A candidate is judged once; `again` asks every question anew.
        """
        folder = self._furniture.candidates.folder(candidate.id)
        if not again and (kept := folder.verdict()):
            return kept
        judge = self._other_base.judge if candidate.llm else self._judge
        decided, scored = judge(candidate, folder)
        folder.keep_verdict(decided)
        page = report.render(
            candidate,
            decided,
            scored,
            folder.curriculum(),
            self._furniture.inventory(),
            self._prices(candidate),
        )
        folder.report.write_text(page, "utf-8")
        # Everybody who opens the registry reads what lies there.
        if candidate.audience.is_everyone and all(each.question.audience.is_everyone for each in scored):
            self._furniture.registry.log_report(candidate.id, folder.report)
        return decided

    def _judge(self, candidate: Candidate, folder: CandidateFolder) -> tuple[Verdict, list[Scored]]:
        every = folder.held_out()  # finding is judged by every kind of question, answering by whole sentences
        held_out = tuple(question for question in every if question.kind is QuestionKind.QUESTION)
        embedder = self._judge_embedder(every, candidate)
        better_found = _passed(embedder)
        reranker = self._judge_reranker(every, candidate, embedder=better_found)
        proposed = self._releases.proposal(
            candidate, adapter=True, embedder=better_found, reranker=_passed(reranker)
        )
        self._releases.converge(proposed, to_be_judged=True)
        if adapter := _adapter(proposed, candidate.audience):
            folder.keep_probabilities(deploy.probabilities(self._furniture.base.adapters, adapter))
        asked = exam(held_out, self._furniture.settings.judging_questions)
        began = time.monotonic()
        scored = asyncio.run(
            arms.evaluate(
                asked,
                self._arms(proposed, candidate.audience, asked),
                progress=self._furniture.stage("judging"),
            )
        )
        decided = verdict.decide(
            candidate.id,
            scored,
            embedder=embedder,
            reranker=reranker,
            audits=self._audits(candidate, proposed, held_out),
            seconds=time.monotonic() - began,
            zone=candidate.audience,
        )
        return decided, scored

    def verdict(self, candidate: Candidate) -> Verdict:
        """Return the kept verdict. Raises NotEarned if there is none yet."""
        kept = self._furniture.candidates.folder(candidate.id).verdict()
        if kept is None:
            raise NotEarned(f"{candidate.id} was not judged yet.", mend=f"kiban judge {candidate.id}")
        return kept

    def report(self, candidate: Candidate) -> Path:
        """Return where the page about a judgement lies."""
        return self._furniture.candidates.folder(candidate.id).report

    def _judge_embedder(self, held_out: Sequence[Question], candidate: Candidate) -> Comparison | None:
        if candidate.embedder is None:
            return None
        old, new = self._releases.base, self._releases.proposal(candidate, embedder=True)
        return verdict.judge_retrieval(held_out, self._rank(held_out, old), self._rank(held_out, new))

    def _judge_reranker(
        self, held_out: Sequence[Question], candidate: Candidate, *, embedder: bool
    ) -> Comparison | None:
        """Compare with and without the reranker what is found by the embedder that would be released."""
        if candidate.reranker is None:
            return None
        old, new = (
            self._releases.proposal(candidate, embedder=embedder, reranker=reranker)
            for reranker in (False, True)
        )
        ranked = self._rank(held_out, old), self._rank(held_out, new)
        return verdict.judge_retrieval(held_out, *ranked, name=verdict.RERANKED)

    def _rank(self, held_out: Sequence[Question], release: Release) -> list[list[Passage]]:
        return [self._answers.find_with(release, question.text, OUTSIDER, RANKED) for question in held_out]

    def _audits(
        self, candidate: Candidate, proposed: Release, held_out: Sequence[Question]
    ) -> tuple[Comparison, ...]:
        """Look for what the adapter must not know."""
        adapter = _adapter(proposed, candidate.audience)
        if adapter is None:
            return ()
        curriculum = self._furniture.candidates.folder(candidate.id).curriculum()
        every = self._arms(proposed, candidate.audience, held_out)
        asked = {arm: every[arm] for arm in (Arm.BASE, Arm.ADAPTED)}
        return Audits(self._furniture).of(candidate, adapter, curriculum, held_out, asked)

    def _prices(self, candidate: Candidate) -> Prices:
        settings, trained = self._furniture.settings, list(candidate.costs.values())
        joules = [cost.joules for cost in trained if cost.joules is not None]
        return Prices(
            machine_hour=settings.machine_hour_price,
            currency=settings.currency,
            machines=len(self._furniture.base.urls),
            licences=self._furniture.licences(),
            training_seconds=sum(cost.seconds for cost in trained) if trained else None,
            training_watt_hours=sum(joules) / 3600 if joules and len(joules) == len(trained) else None,
        )

    def _arms(self, proposed: Release, zone: Audience, exam: Sequence[Question]) -> Mapping[Arm, arms.Ask]:
        """Return how to ask each arm, as a member of the zone. Where an adapter for everyone is in force, a
        zone's is judged against that one too: it is what answers the zone now."""
        base = self._releases.base if zone.is_everyone else self._releases.in_force()
        adapter = _adapter(proposed, zone) or BASE_MODEL
        who = Principal.members(zone)
        asked = {
            Arm.BASE: self._arm(base, BASE_MODEL, who, with_passages=False),
            Arm.BASE_RAG: self._arm(base, BASE_MODEL, who, with_passages=True),
            Arm.ADAPTED: self._arm(proposed, adapter, who, with_passages=False),
            Arm.ADAPTED_RAG: self._arm(proposed, adapter, who, with_passages=True),
        }
        if not zone.is_everyone and base.adapter:
            asked[Arm.EVERYONE_RAG] = self._arm(base, base.adapter, who, with_passages=True)
        if self._furniture.hosted and all(question.audience.is_everyone for question in exam):
            asked[Arm.HOSTED] = self._hosted(base)
        return asked

    def _arm(self, release: Release, model: str, who: Principal, *, with_passages: bool) -> arms.Ask:
        async def ask(question: Question) -> Answer:
            return await self._examining.write(question, release, who, model, with_passages=with_passages)

        return ask

    def _hosted(self, base: Release) -> arms.Ask:
        """Ask somebody else's model about what everyone may read, and never about anything else: passages are
        those of OUTSIDER, who is in no group, and a question made from another document is not sent."""
        generator, model = self._furniture.hosted, self._furniture.settings.hosted_model
        assert generator is not None

        async def ask(question: Question) -> Answer:
            if not question.audience.is_everyone:
                raise NotPermitted(f"A question about {question.lineage.uri} may not leave this house.")
            shown = await asyncio.to_thread(self._examining.show, question, base, OUTSIDER)
            written = converse(question.text, shown, generator=generator, model=model, release_id="hosted")
            *_, last = [piece async for piece in written]
            assert isinstance(last, Answer)
            return last

        return ask


def _passed(comparison: Comparison | None) -> bool:
    return comparison is not None and comparison.outcome is Outcome.PASS


def _adapter(release: Release, zone: Audience) -> str | None:
    """Return what a release serves a zone's own adapter under; None if it has none."""
    if zone.is_everyone:
        return release.adapter
    own = release.zone(zone)
    return own.name if own else None
