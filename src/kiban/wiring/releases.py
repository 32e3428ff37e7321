"""Verdict → Release: what is in force, and how it changes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from kiban.answer.prompt import PROMPT_VERSION
from kiban.backends.postgres import posture, schema
from kiban.backends.weights import verify_adapter
from kiban.domain.access import Audience, Principal
from kiban.domain.evidence import Verdict
from kiban.domain.learning import Candidate, Weights
from kiban.domain.release import LedgerEntry, Release, ZoneAdapter
from kiban.errors import NoSuchRelease, NotEarned, NotServed
from kiban.release import canary, deploy, ledger
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.furniture import Furniture

RESIDENT = 2  # releases before the one in force that stay loaded, so that going back is routing
# What the registry calls them.
ADAPTER, EMBEDDER, RERANKER = "kiban-adapter", "kiban-embedder", "kiban-reranker"


def adapter_model(zone: Audience) -> str:
    """Return what the registry calls the adapters of a zone; its groups are not named there."""
    return ADAPTER if zone.is_everyone else f"{ADAPTER}-{zone.label}"


class Releases:
    """Moves the ledger, brings servers and registry after it."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture

    def found(self) -> None:
        """Bring Postgres to our shape, refuse an unsafe one, and put the base release in the ledger."""
        roles = self._furniture.roles
        schema.migrate(roles.admin, roles.passwords)
        self.require_safe_roles()
        ledger.found(self._furniture.ledger, self.base, actor="kiban up")
        self.require_served()

    def require_served(self) -> None:
        """Raise NotServed if the settings name no base model that is in force: they alone change nothing."""
        self._furniture.base_of(self.in_force())

    def require_safe_roles(self) -> None:
        """Raise UnsafeRole if Postgres would not enforce permissions for the role that reads."""
        with self._furniture.postgres.reading(()) as connection:
            posture.check(connection)

    @property
    def base(self) -> Release:
        """Return the release that learnt nothing: the base model, with the generation last flipped to."""
        try:
            ground = ledger.ground(self._furniture.ledger)
        except NoSuchRelease:
            return self._founding
        embedder = Weights(Path(ground.embedder), ground.embedder_sha256)
        return self._without_weights(ground.llm, embedder, ground.generation)

    @cached_property
    def _founding(self) -> Release:
        """Return the release that the settings ask for in an empty house."""
        embedder = self._furniture.base_embedder
        llm = self._furniture.bases[0].name
        return self._without_weights(llm, embedder, self._furniture.generation(embedder))

    def _without_weights(self, llm: str, embedder: Weights, generation: int) -> Release:
        return Release(
            llm=llm,
            adapter=None,
            adapter_path=None,
            adapter_sha256=None,
            embedder=str(embedder.path),
            embedder_sha256=embedder.sha256,
            generation=generation,
            prompt_version=PROMPT_VERSION,
            curriculum_sha256=None,
        )

    def in_force(self) -> Release:
        return ledger.in_force(self._furniture.ledger)

    def answering(self, who: Principal) -> Release:
        """Return the release that answers one person: that in force, or one on trial."""
        kept = self._furniture.ledger
        if not self._furniture.settings.canary:
            return ledger.in_force(kept)
        asker = self._furniture.pseudonyms.of("asker", who.subject)
        return canary.answers(kept, lambda release: self.drawn(asker, release))

    def drawn(self, asker: str, release: Release) -> float:
        """Return where somebody stands for a trial of a release, from 0 up to 100: by their name alone, and
        by a secret of this house. `asker` is their pseudonym in the record of answers."""
        digits = self._furniture.pseudonyms.of("trial", f"{asker}\0{release.id}")[:8]
        return 100 * int(digits, 16) / 16**8

    def proposal(
        self, candidate: Candidate, *, adapter: bool = False, embedder: bool = False, reranker: bool = False
    ) -> Release:
        """Return the release a candidate would be, with those of its weights that count.

        Raises NotServed for a base model that no server has, NotEarned for what was learnt on another.
        """
        if candidate.llm:
            return self._moved(candidate.llm)
        if candidate.trained_on not in ("", self._furniture.base.weights.sha256):
            raise NotEarned(f"{candidate.id} was trained on another base model than that in force.")
        if not candidate.audience.is_everyone:
            return self._zone_proposal(candidate)
        release = replace(
            self.base, curriculum_sha256=candidate.curriculum_sha256, zones=self._zones_that_stay()
        )
        if adapter and candidate.adapter:
            name, kept = self._shelve(candidate.adapter, candidate.audience)
            release = replace(release, adapter=name, adapter_path=str(kept.path), adapter_sha256=kept.sha256)
        if embedder and candidate.embedder and candidate.generation:
            release = replace(
                release,
                embedder=str(candidate.embedder.path),
                embedder_sha256=candidate.embedder.sha256,
                generation=candidate.generation,
            )
        if reranker and candidate.reranker:
            kept = candidate.reranker
            release = replace(release, reranker=str(kept.path), reranker_sha256=kept.sha256)
        return release

    def _moved(self, llm: Weights) -> Release:
        """Return the base release on another base model. Nothing learnt comes along: adapters belong to one
        base, and a deletion has to find a release on it that never needs to be withdrawn."""
        base = next((one for one in self._furniture.bases if one.weights.sha256 == llm.sha256), None)
        if base is None:
            raise NotServed(f"No server has {llm.path.name}.", mend="other_llm in the settings, kiban up")
        return replace(self.base, llm=base.name)

    def _zone_proposal(self, candidate: Candidate) -> Release:
        """Return the release in force with this zone's adapter put in, and nothing else changed."""
        release = self.in_force()
        if candidate.adapter is None:
            return release
        name, kept = self._shelve(candidate.adapter, candidate.audience)
        groups = tuple(sorted(candidate.audience.groups))
        return release.with_zone(
            ZoneAdapter(groups, name, str(kept.path), kept.sha256, candidate.curriculum_sha256)
        )

    def _zones_that_stay(self) -> tuple[ZoneAdapter, ...]:
        """Return the adapters of zones that answer now, if they fit the base release's model and prompt."""
        now, base = self.in_force(), self.base
        return now.zones if (now.llm, now.prompt_version) == (base.llm, base.prompt_version) else ()

    def _shelve(self, adapter: Weights, zone: Audience) -> tuple[str, Weights]:
        """Copy an adapter to where servers read it, under a name that never means another; return both."""
        name = f"{zone.label}@{adapter.sha256[:8]}"
        return name, deploy.shelve(adapter, self._furniture.settings.state / "adapters" / name, self._verify)

    def _verify(self, path: Path) -> Weights:
        return verify_adapter(path, self._furniture.base.weights.path)

    def promote(self, candidate: Candidate, decided: Verdict, *, actor: str) -> Release:
        """Put what earned its place in force, as one unit. Raises NotEarned and ConcurrentRelease."""
        seen = ledger.last_seen(self._furniture.ledger)
        release = self._earned(candidate, decided)
        self.converge(release)
        kept, settings = self._furniture.ledger, self._furniture.settings
        steps = (*([canary.UNSEEN] if settings.shadow_questions else []), *settings.canary)
        evidence = str(self._furniture.candidates.folder(candidate.id).report)
        if steps:
            canary.begin(kept, release, decided, share=steps[0], actor=actor, evidence=evidence, seen=seen)
        else:
            ledger.promote(kept, release, decided, actor=actor, evidence=evidence, seen=seen)
        self.mirror()
        return release

    def _earned(self, candidate: Candidate, decided: Verdict) -> Release:
        return self.proposal(
            candidate,
            adapter=decided.adapter_earned,
            embedder=decided.embedder_earned,
            reranker=decided.reranker_earned,
        )

    def propose(self, candidate: Candidate, decided: Verdict, *, actor: str) -> Release:
        """Note that a candidate has earned its place and waits for `kiban approve`. Raises NotEarned."""
        release = self._earned(candidate, decided)
        evidence = str(self._furniture.candidates.folder(candidate.id).report)
        ledger.propose(self._furniture.ledger, release, decided, actor=actor, evidence=evidence)
        return release

    def proposed(self) -> Candidate:
        """Return the candidate whose release waits for a person's word. Raises NoSuchRelease."""
        waits = ledger.proposed(self._furniture.ledger)
        if waits is None:
            raise NoSuchRelease("No release waits for a person's word.", mend="kiban history")
        return self._furniture.candidates.find(Path(waits.evidence).parent.name).candidate()

    def rollback(self, *, actor: str, reason: str) -> Release:
        """Flip back to the release before, or end a trial. Raises NoSuchRelease at the founding one."""
        kept = self._furniture.ledger
        if canary.on_trial(kept):
            canary.stop(kept, actor=actor, reason=reason)
        else:
            _ = self._furniture.base_of(ledger.before(kept))  # or nothing could answer
            ledger.rollback(kept, actor=actor, reason=reason)
        self.converge()
        self.mirror()
        return self.in_force()

    def withdraw(self, *, actor: str) -> LedgerEntry | None:
        """Write down a withdrawal that a deletion or narrowed readers have caused already."""
        entry = ledger.withdraw(self._furniture.ledger, actor=actor)
        if entry is not None:
            self.mirror()
        return entry

    def converge(self, release: Release | None = None, *, to_be_judged: bool = False) -> bool:
        """Make sure that every server holds and applies the adapters of a release, or of that in force, and
        that they are what was judged, unless they are to be judged now."""
        release = release or self.in_force()
        base = self._furniture.base_of(release)
        judged = {} if to_be_judged else self._judged(release)
        if of_base := judged.get(base.weights.sha256):
            deploy.prove_parity(base.adapters, BASE_MODEL, of_base, deploy.CANARIES)
        return deploy.converge(release, base.adapters, base_model=BASE_MODEL, judged=judged)

    def keep_resident(self) -> int:
        """Have a release on trial, and those one may return to first, loaded beside the one in force; return
        how many adapters had to be."""
        standing = ledger.returnable(self._furniture.ledger)[-1 - RESIDENT :]
        if trial := canary.on_trial(self._furniture.ledger):
            standing = [*standing, trial.release]
        here = [release for release in standing if self._furniture.serves(release)]
        return sum(deploy.keep_resident([one], self._furniture.base_of(one).adapters) for one in here)

    def _judged(self, release: Release) -> dict[str, deploy.Probabilities]:
        """Return what was kept when adapters of a release were judged, by their hashes."""
        base = self._furniture.base_of(release).weights.sha256
        hashes = [base, *(each.sha256 for each in release.adapters)]
        found = {sha256: self._furniture.candidates.holding(sha256) for sha256 in hashes}
        kept = {sha256: folder.probabilities() for sha256, folder in found.items() if folder}
        return {sha256: judged for sha256, judged in kept.items() if judged}

    def history(self) -> list[LedgerEntry]:
        return self._furniture.ledger.entries()

    def release(self, entry: LedgerEntry) -> Release:
        """Return what an entry names."""
        return self._furniture.ledger.release(entry.release_id)

    def last_seen(self) -> int:
        return ledger.last_seen(self._furniture.ledger)

    def learnt(self) -> dict[str, str | None]:
        """Return the hash of the learnt weights in force, or None, by what the registry calls the model: of
        every zone that has had an adapter, for an alias has to go when the adapter does."""
        release = self.in_force()
        known = self._furniture.candidates.zones() | {zone.audience for zone in release.zones}
        zones = {zone: release.zone(zone) for zone in known if not zone.is_everyone}
        trained_here = self._furniture.candidates.holding(release.embedder_sha256) is not None
        return {
            ADAPTER: release.adapter_sha256,
            EMBEDDER: release.embedder_sha256 if trained_here else None,
            RERANKER: release.reranker_sha256,
            **{adapter_model(zone): own.sha256 if own else None for zone, own in zones.items()},
        }

    def mirror(self) -> None:
        """Let the registry's `champion` aliases follow the ledger."""
        seq, registry = self.last_seen(), self._furniture.registry
        for name, sha256 in self.learnt().items():
            right = registry.shelf(name).holding(sha256)
            registry.crown(name, right.number if right else None, seq)
