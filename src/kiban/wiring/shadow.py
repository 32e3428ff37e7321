"""Past questions are asked again of a release that nobody is answered by yet."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kiban.domain.access import Principal
from kiban.domain.conversation import Exchange, ExchangeKey
from kiban.domain.question import Turn
from kiban.domain.release import Release
from kiban.domain.roles import Right
from kiban.judge.shadow import Replayed, Seen
from kiban.wiring.answers import Answers, Rehearsed
from kiban.wiring.conversations import Conversations
from kiban.wiring.furniture import Furniture
from kiban.wiring.identity import Identity

OF_ONE_PERSON = 10  # questions, at most: nobody is to speak for all
LOOKED_AT = 5  # for each question replayed, since not all can be
LONGEST = 150.0  # seconds; `tend` comes every three minutes
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Question:
    """What somebody asked, and what was said before it."""

    who: Principal
    text: str
    history: tuple[Turn, ...]


class Shadow:
    """Reads a question as its asker would, has two releases answer it, and keeps what can be counted.

    Nothing is read that the asker may not read today, no answer is shown or kept, and questions are asked one
    after the other, so that people who ask meanwhile wait for one more at most.
    """

    def __init__(self, furniture: Furniture, answers: Answers) -> None:
        self._furniture = furniture
        self._answers = answers
        self._conversations = Conversations(furniture)
        self._identity = Identity(furniture)

    def replay(self, old: Release, new: Release) -> list[Replayed]:
        """Replay as many past questions as the settings say, the newest of each person first."""
        wanted, until = self._furniture.settings.shadow_questions, time.monotonic() + LONGEST
        replayed = list[Replayed]()
        for question in self._asked(wanted * LOOKED_AT, old, new):
            if len(replayed) == wanted or time.monotonic() > until:
                break
            if pair := self._both(question, old, new, new_first=len(replayed) % 2 == 1):
                replayed.append(pair)
                log.info("replayed %d of %d questions", len(replayed), wanted)
        return replayed

    def _asked(self, most: int, old: Release, new: Release) -> Iterator[_Question]:
        for key in self._furniture.conversations.newest(most, OF_ONE_PERSON):
            caller = self._identity.seated(key.subject)
            if Right.ASK in caller.rights and _may_differ(old, new, caller.who):
                said = self._conversations.read(key.conversation, caller.who)
                if question := _question(key, said, caller.who):
                    yield question

    def _both(self, question: _Question, old: Release, new: Release, *, new_first: bool) -> Replayed | None:
        """Return how both answered; None where the same weights would, or policy lets none."""
        seen, meant = dict[Release, Seen](), set[str]()
        for release in (new, old) if new_first else (old, new):
            began = time.monotonic()
            rehearsed = asyncio.run(
                self._answers.rehearse(release, question.text, question.history, question.who)
            )
            if rehearsed.answer and rehearsed.answer.refused_by:
                return None
            seen[release] = _seen(rehearsed, time.monotonic() - began)
            meant.add(rehearsed.meant)
        if len(meant) == 1:
            return None
        person = self._furniture.pseudonyms.of("asker", question.who.subject)
        return Replayed(person, seen[old], seen[new])


def _question(key: ExchangeKey, said: Sequence[Exchange], who: Principal) -> _Question | None:
    """Return a question with what was said before it; None where its asker may not read all of that now, or
    deleted it meanwhile: without it, it would be another question."""
    if key.number >= len(said):
        return None
    turns = list[Turn]()
    for before in said[: key.number]:
        if before.answer is None:
            return None
        turns += [Turn("user", before.question), Turn("assistant", before.answer.text)]
    return _Question(who, said[key.number].question, tuple(turns))


def _may_differ(old: Release, new: Release, who: Principal) -> bool:
    """Tell whether a release changes anything for somebody: a zone's adapter does for its readers alone."""
    changed = [
        zone for zone in (*old.zones, *new.zones) if old.zone(zone.audience) != new.zone(zone.audience)
    ]
    return old.narrowed() != new.narrowed() or any(who.may_read(zone.audience) for zone in changed)


def _seen(rehearsed: Rehearsed, seconds: float) -> Seen:
    """Count an answer. One that other weights had to give in place of the release's own has failed."""
    answer = rehearsed.answer
    if answer is None:
        return Seen(True, False, False, 0, 0, seconds)
    return Seen(
        failed=answer.failed or answer.release_id != rehearsed.meant,
        abstained=answer.abstained and bool(answer.passages),
        refused=answer.refused_quotes > 0,
        citations=len(answer.citations),
        characters=len(answer.text),
        seconds=seconds,
    )
