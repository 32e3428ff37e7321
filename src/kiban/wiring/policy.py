"""The company's policy, held to at every door: what may be asked, what is found, what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from kiban.answer.blocklist import Blocklist
from kiban.answer.veil import veil
from kiban.answer.withhold import Held, withhold
from kiban.backends import policy_file
from kiban.domain.access import Principal
from kiban.domain.policy import NO_POLICY, Judge, Policy, Rule, Where
from kiban.domain.question import Answer, Form, Passage, Turn
from kiban.domain.sensitive import mask
from kiban.errors import RefusedByPolicy, SettingsError
from kiban.wiring.furniture import Furniture


@dataclass(frozen=True, slots=True)
class Admitted:
    """A question as it goes on, without what its asker is not shown."""

    question: str
    history: tuple[Turn, ...]
    done: tuple[Turn, ...]  # calls of the client's tools, and their results
    refused: Rule | None = None  # by this it goes nowhere


class Policing:
    """Without a policy in the settings nothing is looked for, and everything passes at once."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._blocklists: dict[tuple[Rule, ...], Blocklist] = {}

    @cached_property
    def policy(self) -> Policy:
        """Raises SettingsError."""
        path = self._furniture.settings.policy
        return policy_file.read(path) if path else NO_POLICY

    def require_sound(self) -> None:
        """Raise SettingsError for a policy that cannot be read, before anybody is answered without it."""
        _ = self.policy

    async def admit(
        self, question: str, history: Sequence[Turn], done: Sequence[Turn], who: Principal
    ) -> Admitted:
        """Look at a question, and at what was said and done before it."""
        if self.policy == NO_POLICY:
            return Admitted(question, tuple(history), tuple(done))
        return await asyncio.to_thread(self._admitted, question, history, done, who)

    def _admitted(
        self, question: str, history: Sequence[Turn], done: Sequence[Turn], who: Principal
    ) -> Admitted:
        def clean(turns: Sequence[Turn]) -> tuple[Turn, ...]:
            return tuple(replace(turn, text=self.unnamed(turn.text, who)) for turn in turns)

        rule = self.asked(question, (*history, *done), who)
        return Admitted(self.unnamed(question, who), clean(history), clean(done), rule)

    def asked(self, question: str, history: Sequence[Turn], who: Principal) -> Rule | None:
        """Return the rule that a question breaks, or what was said before it."""
        said = (question, *(turn.text for turn in history))
        return next((rule for text in said if (rule := self.broken(text, who, Where.QUESTION))), None)

    def broken(self, text: str, who: Principal, where: Where) -> Rule | None:
        """Return the rule that a whole text breaks."""
        if match := self._blocklist(who, where).find(text):
            return match.rule
        judge = self.policy.judge
        if judge and where in judge.where and (label := self._refuses(judge, text)):
            return Rule(label, ())
        return None

    def searched(self, text: str, who: Principal) -> str:
        """Return a question as it may be searched for. Raises RefusedByPolicy."""
        if rule := self.asked(text, (), who):
            raise RefusedByPolicy(rule.says or rule.name)
        return self.unnamed(text, who)

    def unnamed(self, text: str, who: Principal) -> str:
        """Return a text without what its asker is not shown: it cannot be searched for either, or whether
        something is found would tell that it stands somewhere."""
        kinds = self.policy.veiled_for(who)
        if not kinds:
            return text
        return mask(text, [one for one in self._furniture.detector.findings(text) if one.kind in kinds])

    def shown(self, passages: Sequence[Passage], who: Principal) -> list[Passage]:
        """Return passages as this person is shown them."""
        kinds = self.policy.veiled_for(who)
        if not kinds or not passages:
            return list(passages)
        found = self._furniture.index.sensitive(who, [passage.chunk_id for passage in passages])
        return [veil(passage, found[passage.chunk_id], kinds) for passage in passages]

    def answered(
        self,
        answering: AsyncGenerator[str | Answer],
        who: Principal,
        question: str,
        release_id: str,
        form: Form,
    ) -> AsyncGenerator[str | Answer]:
        """Hold an answer back as far as policy asks."""
        judge = self.policy.judge
        held = Held(
            self._blocklist(who, Where.ANSWER),
            self.policy.veiled_for(who),
            self._furniture.detector.findings if self.policy.veils else lambda text: (),
            (lambda text: self._refuses(judge, text)) if judge and Where.ANSWER in judge.where else None,
        )
        return withhold(answering, held, question, release_id, form)

    def kept(self, answer: Answer, who: Principal) -> Answer:
        """Return an answer of a conversation with its passages as they may be shown now."""
        passages = self.shown(answer.passages, who)
        by_chunk = {passage.chunk_id: passage for passage in passages}
        citations = tuple(
            replace(one, passage=by_chunk.get(one.passage.chunk_id, one.passage)) for one in answer.citations
        )
        return replace(answer, passages=tuple(passages), citations=citations)

    def _blocklist(self, who: Principal, where: Where) -> Blocklist:
        rules = self.policy.rules_for(who, where)
        if rules not in self._blocklists:
            self._blocklists[rules] = Blocklist(rules, lambda text: self._furniture.tokenizer.borders(text))
        return self._blocklists[rules]

    def _refuses(self, judge: Judge, text: str) -> str:
        found = self._classifier.probabilities(text)
        return next((label for label in sorted(judge.labels) if found[label] >= judge.at_least), "")

    @cached_property
    def _classifier(self):  # type: ignore[no-untyped-def]
        from kiban.backends.text_classifier import TextClassifier

        judge = self.policy.judge
        assert judge is not None
        classifier = TextClassifier(self._furniture.fetched(judge.model).path, self._furniture.device)
        if unknown := judge.labels - classifier.labels:
            known = ", ".join(sorted(classifier.labels))
            raise SettingsError(f"{judge.model} has no label {', '.join(sorted(unknown))}; it has {known}")
        return classifier
