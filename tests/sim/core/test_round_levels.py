"""Visits to price levels: crossings count once, run-on is signed by their direction, turns are told from crossings."""

import numpy as np
import pytest

from marginquake.analysis.levels.round_prices import visits


def test_a_price_that_runs_on_after_a_crossing_has_a_positive_move() -> None:
    price = np.concatenate([np.linspace(99_500, 100_000, 50), np.linspace(100_010, 100_600, 120)])
    found = visits(np.arange(170.0), price, 1000.0, 0.0, horizon_s=60.0)
    assert (found.approaches, found.turned) == (1, 0)
    assert found.run_on_bps == pytest.approx([1e4 * np.log(price[110] / price[50])], rel=1e-6)
    down = visits(np.arange(170.0), price[::-1].copy(), 1000.0, 0.0, horizon_s=20.0)
    assert down.run_on_bps[0] > 0


def test_a_price_that_turns_at_a_level_is_not_a_crossing() -> None:
    price = np.concatenate([np.linspace(99_500, 99_960, 50), np.linspace(99_960, 99_500, 50)])
    found = visits(np.arange(100.0), price, 1000.0, 0.0)
    assert (found.approaches, found.turned, len(found.run_on_bps)) == (1, 1, 0)


def test_jitter_at_a_level_counts_as_one_crossing() -> None:
    wiggle = 100_000 + 30 * np.tile([-1.0, 1.0], 30)
    price = np.concatenate([np.linspace(99_500, 99_950, 30), wiggle, np.linspace(100_050, 100_500, 30)])
    found = visits(np.arange(len(price), dtype=float), price, 1000.0, 0.0)
    assert len(found.run_on_bps) == 1
    assert found.turned == 0


def test_a_random_walk_knows_no_round_prices() -> None:
    steps = np.random.default_rng(3).normal(0, 25, 200_000)
    price = 100_000 * np.exp(np.cumsum(steps) / 1e6 * 10)
    time_s = np.arange(len(price), dtype=float)
    round_ones = visits(time_s, price, 1000.0, 0.0)
    others = visits(time_s, price, 1000.0, 370.0)
    assert len(round_ones.run_on_bps) > 50
    spread = round_ones.run_on_bps.std() / np.sqrt(len(round_ones.run_on_bps))
    assert abs(round_ones.run_on_bps.mean() - others.run_on_bps.mean()) < 4 * spread
