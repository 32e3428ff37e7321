"""The registry's page as a door for people: their wishes, and what becomes of each."""

from __future__ import annotations

import logging

from kiban.adapt import card
from kiban.backends.candidates import CandidateFolder
from kiban.domain.evidence import Outcome
from kiban.domain.release import ShelvedVersion
from kiban.errors import KibanError, PartUnavailable
from kiban.release import door
from kiban.release.door import Wanted, Wish
from kiban.wiring.evidence import Evidence
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import EMBEDDER, RERANKER, Releases

log = logging.getLogger(__name__)

UNKNOWN = "no curriculum of these weights is known here, so nothing says whose documents they have seen"


class RegistryDoor:
    """What the registry flow does: look, then fulfil one wish after the other."""

    def __init__(self, furniture: Furniture, releases: Releases, evidence: Evidence) -> None:
        self._furniture = furniture
        self._releases = releases
        self._evidence = evidence

    def wishes(self) -> list[Wish]:
        """Return where registry and ledger disagree, and what people want by it."""
        registry, seq = self._furniture.registry, self._releases.last_seen()
        return [
            wish
            for name, sha256 in self._releases.learnt().items()
            for wish in door.wishes(registry.shelf(name), sha256, seq)
        ]

    def fulfil(self, wish: Wish) -> str:
        """Do what was wished, or write on the version why not; return what was told.

        Raises PartUnavailable, and the wish stays; whatever else refuses is the answer.
        """
        log.info("the registry wants %s to be %s", wish.version or wish.name, wish.wanted)
        told = ""
        try:
            if wish.wanted is Wanted.RESTORED:
                self._restore(wish.name)
            elif wish.version and wish.wanted in (Wanted.JUDGED, Wanted.RELEASED):
                told = self._judged(wish.version, release=wish.wanted is Wanted.RELEASED)
        except PartUnavailable:
            raise
        except KibanError as error:
            told = door.refusal(str(error))
        if told and wish.version:
            self._furniture.registry.tell(wish.version.version, told)
        self._releases.mirror()  # a champion that was not earned goes back to where it was
        return told

    def _judged(self, version: ShelvedVersion, *, release: bool) -> str:
        folder = self._furniture.candidates.holding(version.sha256)
        if folder is None:
            return door.refusal(UNKNOWN)
        candidate = folder.candidate()
        verdict = self._evidence.judge(candidate)
        earned = release and verdict.outcome is Outcome.PASS
        if earned:
            self._releases.promote(candidate, verdict, actor="registry")
        return door.answer(verdict, released=earned)

    def _restore(self, name: str) -> None:
        """Put the weights in force back on the shelf they were taken from, as a new version."""
        sha256 = self._releases.learnt()[name] or ""
        folder = self._furniture.candidates.holding(sha256)
        if folder is None:
            log.warning("%s %s was deleted in the registry and cannot be put back", name, sha256[:12])
            return
        version = self._registered_again(name, folder)
        self._furniture.registry.tell(version, "It was deleted while it answered, and was put back.")

    def _registered_again(self, name: str, folder: CandidateFolder) -> str:
        candidate, written = folder.candidate(), folder.curriculum()
        weights = {EMBEDDER: candidate.embedder, RERANKER: candidate.reranker}
        made = weights.get(name, candidate.adapter)  # everyone's or a zone's
        assert made is not None  # `holding` found the folder by one of them
        tags = {"curriculum": written.sha256, "llm_sha256": self._furniture.base.weights.sha256}
        return self._furniture.registry.register(name, made, tags, card.write(name, written, made))
