"""B7 at a small size: through the real parsers, what is sown in documents is found before training."""

from __future__ import annotations

from pathlib import Path

from kiban.backends.parsers.jail import JailedParser
from kiban.backends.sensitive.detector import SensitiveDetector
from kiban.bench.attacks.secrets import AIM, sow
from kiban.bench.attacks.seeds import draw
from kiban.testing import PatternDetector, WordTokenizer


def test_what_is_sown_is_found_and_a_detector_that_looks_away_is_noticed(tmp_path: Path) -> None:
    seeds = draw(85, seed=3)
    with JailedParser() as parser:
        tally = sow(seeds, tmp_path / "found", parser, WordTokenizer(), SensitiveDetector())
        blind = sow(seeds[:20], tmp_path / "blind", parser, WordTokenizer(), PatternDetector())
    assert tally.recall >= AIM and tally.precision >= 0.95, tally.missed
    assert len(tally.sown) >= 12
    assert blind.recall < 0.5
