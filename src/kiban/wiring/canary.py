"""A release on trial is watched, and goes on, or back, by what people got from it."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime

from kiban.domain.evidence import Outcome
from kiban.domain.feedback import Rating
from kiban.domain.record import AnswerRecord, Ending
from kiban.domain.release import LedgerEntry
from kiban.judge import shadow, watch
from kiban.judge.watch import Seen
from kiban.release import canary
from kiban.release.canary import Trial
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import Releases
from kiban.wiring.shadow import Shadow

log = logging.getLogger(__name__)


class Canary:
    """What the tend flow does with a release on trial."""

    def __init__(self, furniture: Furniture, releases: Releases, replaying: Shadow) -> None:
        self._furniture = furniture
        self._releases = releases
        self._replaying = replaying

    def step(self, *, actor: str) -> LedgerEntry | None:
        """Widen the trial, put its release in force, or end it; None while it cannot be told, or without one.

        Each step needs so many answers of its own as the settings say; the guards look at all of the trial's.
        """
        ledger, settings = self._furniture.ledger, self._furniture.settings
        trial = canary.on_trial(ledger)
        if trial is not None and trial.share == canary.UNSEEN:
            return self._rehearse(trial, actor)
        if trial is None or not settings.canary:
            return None
        old, new = self._seen(trial)
        found = watch.guards([seen for _, seen in old], [seen for _, seen in new])
        reason = watch.told(found, [seen for _, seen in old], [seen for _, seen in new])
        outcome = watch.outcome(found)
        log.info("on trial with %d %% of people, %s: %s", trial.share, outcome, reason)
        if outcome is Outcome.FAIL:
            return self._moved(canary.stop(ledger, actor=actor, reason=f"The trial was worse. {reason}"))
        lately = sum(at >= trial.steps[-1][0] for at, _ in new)
        if outcome is Outcome.CANNOT_TELL or lately < settings.canary_answers:
            return None
        return self._go_on(trial, actor, reason)

    def _rehearse(self, trial: Trial, actor: str) -> LedgerEntry | None:
        """Replay past questions on a release that answers nobody yet. Too few of them stop nothing; while
        the release in force answers none either, it is waited."""
        replayed = self._replaying.replay(self._releases.in_force(), trial.release)
        if shadow.all_failed(replayed):
            log.warning("no past question could be answered by the release in force: replayed again later")
            return None
        found = shadow.guards(replayed)
        outcome, reason = shadow.outcome(replayed, found), shadow.told(replayed, found)
        log.info("unseen, %s: %s", outcome, reason)
        if outcome is Outcome.FAIL:
            reason = f"Unseen by anybody, it was worse. {reason}"
            return self._moved(canary.stop(self._furniture.ledger, actor=actor, reason=reason))
        return self._go_on(trial, actor, reason)

    def _go_on(self, trial: Trial, actor: str, reason: str) -> LedgerEntry:
        """Let the release answer more people, or all."""
        ledger = self._furniture.ledger
        wider = [share for share in self._furniture.settings.canary if share > trial.share]
        if wider:
            return canary.widen(ledger, wider[0], actor=actor, reason=reason)
        return self._moved(canary.complete(ledger, actor=actor, reason=reason))

    def _moved(self, entry: LedgerEntry) -> LedgerEntry:
        self._releases.mirror()
        return entry

    def _seen(self, trial: Trial) -> tuple[list[tuple[datetime, Seen]], list[tuple[datetime, Seen]]]:
        """Return what people got since the trial began, from the release in force and from the one on trial.

        Who got what from which is worked out as it was drawn. An answer that the base model had to give in
        place of either's own weights has failed.
        """
        thumbs = self._thumbs(trial)
        arms: tuple[list[tuple[datetime, Seen]], list[tuple[datetime, Seen]]] = ([], [])
        own = {release.narrowed().id for release in (self._releases.in_force(), trial.release)}
        instead = {self._releases.base.id} - own
        for record in self._furniture.records.kept(since=trial.steps[0][0]):
            if record.what.ending is Ending.LEFT:
                continue
            asker = record.what.asker
            tried = self._releases.drawn(asker, trial.release) < trial.share_at(record.at)
            disliked = thumbs[asker, tried] > 0
            thumbs[asker, tried] -= disliked
            arms[tried].append((record.at, _seen(record, disliked, instead)))
        return arms

    def _thumbs(self, trial: Trial) -> Counter[tuple[str, bool]]:
        """Count the thumbs down since the trial began, by person and by whether the release on trial earned
        them."""
        down: Counter[tuple[str, bool]] = Counter()
        for given in self._furniture.feedback.all():
            if given.rating is Rating.DOWN and given.at >= trial.steps[0][0]:
                asker = self._furniture.pseudonyms.of("asker", given.author)
                tried = self._releases.drawn(asker, trial.release) < trial.share_at(given.at)
                down[asker, tried] += 1
        return down


def _seen(record: AnswerRecord, disliked: bool, instead: set[str]) -> Seen:
    what = record.what
    return Seen(
        what.asker,
        failed=what.ending is Ending.FAILED or what.release_id in instead,
        abstained=what.ending is Ending.ABSTAINED and bool(what.shown),
        refused=what.refused_quotes > 0,
        disliked=disliked,
        seconds=what.milliseconds / 1000,
    )
