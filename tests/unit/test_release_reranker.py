"""A reranker's way through the house: proposed, promoted, shown in the registry, withdrawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kiban.backends.candidates import CandidateShelf
from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.learning import Candidate, Weights
from kiban.errors import NotEarned
from kiban.release import ledger
from kiban.release.door import CHAMPION
from kiban.testing import MemoryAdapterHost, MemoryLedger, MemoryRegistry
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import RERANKER, Releases

RERANKED = Verdict(Outcome.PASS, ("Better.",), Evaluation("c", {}, (), 0, 0, 0.0), reranker_earned=True)
NOT_RERANKED = replace(RERANKED, reranker_earned=False, embedder_earned=True)


@pytest.fixture
def furniture(tmp_path: Path) -> SimpleNamespace:
    weights = Weights(tmp_path / "llm", "l" * 64)
    base = SimpleNamespace(name="qwen@llllllllllll", weights=weights, adapters=MemoryAdapterHost())
    house = SimpleNamespace(
        settings=SimpleNamespace(llm="qwen", state=tmp_path, canary=(), shadow_questions=0),
        bases=[base],
        base=base,
        base_of=lambda release: base,
        base_embedder=Weights(tmp_path / "e5", "e" * 64),
        generation=lambda embedder: 1,
        ledger=MemoryLedger(),
        registry=MemoryRegistry(),
        candidates=CandidateShelf(tmp_path / "candidates"),
    )
    ledger.found(house.ledger, releases(house).base, "boot")
    return house


def releases(furniture: SimpleNamespace) -> Releases:
    return Releases(cast(Furniture, furniture))


def candidate(furniture: SimpleNamespace) -> Candidate:
    reranker = Weights(furniture.settings.state / "candidates" / "c" / "reranker", "r" * 64)
    made = Candidate("c", "1", (), None, None, None, (), reranker)
    furniture.candidates.folder("c").keep_candidate(made)
    furniture.registry.register(RERANKER, reranker, {}, "")
    return made


def test_what_earned_its_place_is_in_force_and_champion_until_a_document_goes(
    furniture: SimpleNamespace,
) -> None:
    house, made = releases(furniture), candidate(furniture)
    promoted = house.promote(made, RERANKED, actor="judge flow")
    assert house.in_force() == promoted
    assert promoted.reranker == str(made.reranker and made.reranker.path)
    assert house.learnt()[RERANKER] == "r" * 64
    champion = furniture.registry.shelf(RERANKER).under(CHAMPION)
    assert champion is not None and champion.sha256 == "r" * 64
    furniture.ledger.taint("1", "rules.md")
    assert house.in_force().reranker is None
    house.withdraw(actor="tend")
    assert furniture.registry.shelf(RERANKER).under(CHAMPION) is None


def test_what_did_not_earn_its_place_is_left_out_or_refused(furniture: SimpleNamespace) -> None:
    house, made = releases(furniture), candidate(furniture)
    assert house.promote(made, NOT_RERANKED, actor="judge flow").reranker is None
    proposed = house.proposal(made, reranker=True)
    with pytest.raises(NotEarned, match="reranker"):
        ledger.promote(
            furniture.ledger,
            proposed,
            NOT_RERANKED,
            actor="somebody",
            evidence="",
            seen=house.last_seen(),
        )
