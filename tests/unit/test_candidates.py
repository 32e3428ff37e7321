"""What lies in a candidate's folder, also where an earlier version wrote it."""

from __future__ import annotations

import json
from pathlib import Path

from kiban.backends.candidates import CandidateShelf
from kiban.domain.evidence import Outcome
from kiban.domain.learning import Candidate, Weights

WEIGHTS = {"path": "/candidates/c/embedder", "sha256": "e" * 64}
EARLIER_CANDIDATE = {
    "id": "c", "curriculum_sha256": "1", "lineage": [], "adapter": None, "embedder": WEIGHTS, "generation": 2,
    "registered": ["kiban-embedder/1"],
}  # fmt: skip
EARLIER_VERDICT = {
    "outcome": "pass", "reasons": ["Better."], "embedder_earned": True, "adapter_earned": False,
    "evaluation": {
        "candidate_id": "c", "arms": {}, "comparisons": [], "questions": 1, "documents": 1, "seconds": 0.0,
    },
}  # fmt: skip


def test_what_an_earlier_version_kept_is_read_as_without_a_reranker(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "candidate.json").write_text(json.dumps(EARLIER_CANDIDATE))
    (tmp_path / "c" / "verdict.json").write_text(json.dumps(EARLIER_VERDICT))
    folder = CandidateShelf(tmp_path).find()
    assert folder.candidate().reranker is None
    verdict = folder.verdict()
    assert verdict is not None
    assert (verdict.outcome, verdict.embedder_earned, verdict.reranker_earned) == (Outcome.PASS, True, False)


def test_a_candidate_is_found_by_any_of_its_weights(tmp_path: Path) -> None:
    shelf = CandidateShelf(tmp_path)
    adapter, embedder, reranker = (Weights(tmp_path / name, name) for name in ("a", "e", "r"))
    shelf.folder("c").keep_candidate(Candidate("c", "1", (), adapter, embedder, 2, ("x/1",), reranker))
    for sha256 in "aer":
        folder = shelf.holding(sha256)
        assert folder is not None and folder.candidate().reranker == reranker
    assert shelf.holding("other") is None
