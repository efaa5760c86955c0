"""Facts about tipping points: bisection finds known thresholds, the interval is honest, R is what section 1.2 says."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from marginquake.analysis.levels.feedback import crossing, feedback_number, fuel_density, stopping_distance
from marginquake.analysis.studies.tipping import Bisection, median_ranks
from marginquake.sim.cli import main
from tests.support.paths import TINY


def bisect(thresholds: dict[int, float], falling: bool = False, resolution: float = 0.01) -> tuple[Bisection, int]:
    """Bisect seeds whose outcome is known: a cascade at places above (below, if `falling`) their threshold."""
    search, tried = Bisection(resolution), 0

    def learn(keys: list[tuple[int, float]]) -> None:
        nonlocal tried
        for seed, place in keys:
            tried += 1
            search.learn(seed, place, (place < thresholds[seed]) if falling else (place > thresholds[seed]))

    seeds = list(thresholds)
    learn([(seed, end) for seed in seeds for end in (0.0, 1.0)])
    search.settle_ends(seeds)
    while trials := search.next_trials(seeds):
        learn(trials)
    return search, tried


@pytest.mark.parametrize("falling", [False, True])
def test_known_thresholds_are_found_to_the_resolution(falling: bool) -> None:
    thresholds = dict(enumerate(np.random.default_rng(1).uniform(0.3, 0.5, 15)))
    search, tried = bisect(thresholds, falling)
    found = search.result(list(thresholds))
    assert found.rising is not falling
    assert found.point.value == pytest.approx(np.median(list(thresholds.values())), abs=0.01)
    assert found.point.low < np.median(list(thresholds.values())) < found.point.high
    assert tried == 15 * (2 + 7), "seven halvings reach one part in a hundred"


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(2), 0
    for _ in range(400):
        search, _ = bisect(dict(enumerate(rng.beta(2, 4, 12))), resolution=0.02)
        point = search.result(list(range(12))).point
        held += point.low <= 0.31381 <= point.high  # the median of Beta(2, 4)
    assert held / 400 > 0.94


def test_a_seed_beyond_the_range_counts_as_beyond_it() -> None:
    search, _ = bisect({1: -0.2, 2: 0.4, 3: 0.5, 4: 0.6, 5: 1.3})
    found = search.result([1, 2, 3, 4, 5])
    assert found.point.value == pytest.approx(0.5, abs=0.01)
    assert found.point.low == -math.inf
    assert found.point.high == math.inf


def test_a_contrary_seed_is_left_out_and_counted() -> None:
    search, _ = bisect({1: 0.4, 2: 0.5, 3: 0.6})
    search.learn(4, 0.0, True)
    search.learn(4, 1.0, False)
    search.assumes_ends = False
    found = search.result([1, 2, 3, 4])
    assert (found.seeds, found.contrary) == (3, 1)


def test_later_seeds_are_not_tried_at_ends_that_nobody_doubts() -> None:
    search, _ = bisect({1: 0.4, 2: 0.5})
    assert search.assumes_ends
    assert search.next_trials([1, 2, 3]) == [(3, 0.5)]


def test_ranks_of_the_median_are_those_of_the_tables() -> None:
    assert [median_ranks(n) for n in (5, 6, 8, 20, 40)] == [(0, 4), (0, 5), (0, 7), (5, 14), (13, 26)]


def test_r_is_fuel_over_depth_and_1_where_they_are_equal() -> None:
    distance = np.linspace(0.0, 0.05, 5000, endpoint=False)
    notional = np.full(5000, 5 * 12e6 / 5000)
    assert feedback_number(distance, notional, depth_1pct=12e6) == pytest.approx(1.0, rel=0.01)
    assert feedback_number(distance, 3 * notional, depth_1pct=12e6) == pytest.approx(3.0, rel=0.01)
    assert feedback_number(distance[:0], notional[:0], 12e6) == 0.0
    assert math.isnan(feedback_number(distance, notional, 0.0))
    cluster = feedback_number(np.full(10, 0.02), np.full(10, 1.2e6), 12e6)
    assert cluster == pytest.approx(1.0), "a whole cluster falls into one window"
    starts, density = fuel_density(np.array([0.03]), np.array([6e6]))
    assert density[(starts > 0.0201) & (starts < 0.0299)] == pytest.approx(6e8)
    assert density[starts < 0.0199].max() == 0


def test_the_crossing_is_interpolated_between_values_tried() -> None:
    assert crossing(np.array([30.0, 10.0, 20.0]), np.array([3.0, 0.0, 1.5])) == pytest.approx(10 + 10 / 1.5)
    assert math.isnan(crossing(np.array([10.0, 20.0]), np.array([0.1, 0.5])))


def tipping(out: Path, *options: str) -> Result:
    usual = (
        "--seeds",
        "3",
        "--set",
        "duration=10s",
        "--metric",
        "margin_calls",
        "--tolerance",
        "0.5",
        "--workers",
        "1",
    )
    return CliRunner().invoke(main.app, ["tipping", str(TINY), "--out", str(out), *usual, *options])


@pytest.mark.slow
@pytest.mark.model
def test_a_tiny_market_tips_in_leverage(tmp_path: Path) -> None:
    asked = ("--parameter", "populations.crowd.leverage", "--between", "5", "110", "--above", "5")
    done = tipping(tmp_path, *asked)
    assert done.exit_code == 0, done.stderr
    assert "half of 3 seeds cascade at" in done.stdout
    path = Path(done.stdout.splitlines()[-1])
    facts = json.loads((path / "tipping.json").read_text())
    assert 10 < facts["estimate"] < 110
    assert len(facts["thresholds"]) == 3
    assert (path / "figures" / "tipping.png").stat().st_size > 10_000
    made = sorted((path / "points").iterdir())
    stamps = [(each / "manifest.json").stat().st_mtime_ns for each in made]
    again = tipping(tmp_path, *asked)
    assert again.stdout.splitlines()[-1] == str(path)
    assert json.loads((path / "tipping.json").read_text()) == facts
    assert [(each / "manifest.json").stat().st_mtime_ns for each in made] == stamps, "nothing was run twice"

    flat = tipping(tmp_path, "--parameter", "populations.crowd.leverage", "--between", "2", "3", "--above", "5")
    assert flat.exit_code == 2
    assert "does not tip between 2 and 3" in flat.stderr

    other = (*asked[:-2], "--above", "8")
    refused = tipping(tmp_path, *other, "--name", path.name)
    assert refused.exit_code == 2
    assert "holds the answer for margin_calls above 5; choose another --name, or --replace" in refused.stderr
    assert json.loads((path / "tipping.json").read_text()) == facts
    elsewhere = Path(tipping(tmp_path, *other).stdout.splitlines()[-1])
    assert elsewhere.name.startswith(f"{path.name}-"), "a name that nobody chose makes way"


def test_a_range_must_rise(tmp_path: Path) -> None:
    done = tipping(tmp_path, "--parameter", "x", "--between", "5", "3")
    assert done.exit_code == 2
    assert "--between 5 3: must rise" in done.stderr


def test_a_fall_stops_where_the_book_has_absorbed_what_it_released() -> None:
    even = np.linspace(0.0, 0.2, 20_001)
    per_level = np.full(len(even), 50.0)
    # uniform fuel of 2.5e7 per unit against uniform depth of 1e8: V0 / (1 - R) with R = 1/4 (eq. 30, vector MF-1)
    stop = stopping_distance(even, per_level * 0.25e8 / (50.0 * 100_000), 1e6, 0.012)
    assert stop == pytest.approx(0.012 / 0.75, rel=1e-2)
    twice = stopping_distance(even, per_level * 0.25e8 / (50.0 * 100_000), 1e6, 0.012, multiple=2.0)
    assert twice == pytest.approx(0.012 / 0.875, rel=1e-2)


def test_fuel_beyond_the_fall_is_not_released() -> None:
    assert stopping_distance(np.array([0.03]), np.array([1e9]), 1e6, 0.02) == pytest.approx(0.02, abs=1e-4)


def test_a_fall_that_nothing_absorbs_does_not_stop() -> None:
    assert stopping_distance(np.array([0.005]), np.array([1e9]), 1e6, 0.01) == np.inf
