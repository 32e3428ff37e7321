"""What training costs: counted where the machine counts, unknown elsewhere."""

from __future__ import annotations

from pathlib import Path

from kiban.adapt import card
from kiban.backends.meter import Gpu, Meter, Processors
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.learning import Cost, Curriculum, Weights


def package(powercap: Path, name: str, microjoules: int, turn: int = 1_000_000) -> None:
    folder = powercap / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{turn}\n")


def test_the_packages_energy_is_summed_and_a_counter_may_turn_over(tmp_path: Path) -> None:
    def count(first: int, second: int) -> None:
        package(tmp_path, "intel-rapl:0", first)
        package(tmp_path, "intel-rapl:1", second)
        package(tmp_path, "intel-rapl:0:0", 5 * first)  # the cores within package 0: counted there already

    count(900_000, 100_000)
    processors = Processors(tmp_path)
    assert processors() == 0.0
    count(950_000, 300_000)
    assert processors() == 0.25
    count(150_000, 300_000)
    assert processors() == 0.45


def test_a_machine_that_does_not_say_leaves_energy_unknown(tmp_path: Path) -> None:
    assert Processors(tmp_path / "nothing")() is None
    assert Gpu("no-such-library.so")() is None
    assert Meter("cpu", joules=lambda: None).cost().joules is None


def test_what_earlier_runs_cost_is_added(tmp_path: Path) -> None:
    counted = iter((10.0, 25.0))
    cost = Meter("cpu", Cost(100.0, 7, 50.0), lambda: next(counted)).cost()
    assert cost.seconds > 100
    assert cost.joules == 65.0


def test_the_peak_is_that_of_the_stretch_measured() -> None:
    meter = Meter("cpu")
    before = meter.cost().peak_bytes
    held = bytearray(64 * 2**20)
    assert meter.cost().peak_bytes >= before + len(held) // 2


def test_one_unknown_part_makes_the_whole_unknown() -> None:
    assert Cost(1, 5, 2.0).plus(Cost(2, 3, None)) == Cost(3, 5, None)


def test_the_card_tells_the_cost_and_never_guesses() -> None:
    nothing = Curriculum(Audience(frozenset({EVERYONE})), (), (), "1", 1)
    weights = Weights(Path("adapter"), "0" * 64)
    known = card.write("x", nothing, weights, Cost(61.4, 3 * 2**30, 7200.0))
    assert "took 61 s, 3.00 GiB at its peak, 2.0 Wh." in known
    assert "energy unknown here" in card.write("x", nothing, weights, Cost(61.4, 3 * 2**30, None))
    assert "not kept" in card.write("x", nothing, weights)
