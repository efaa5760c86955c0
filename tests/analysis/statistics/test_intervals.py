"""The one bootstrap over seeds."""

import math
from pathlib import Path

import numpy as np
import pytest

from marginquake.analysis.statistics.intervals import (
    block_draws,
    bootstrap,
    draw_weights,
    draws,
    interval_over_seeds,
    percentiles,
)

ANALYSIS = Path(__file__).parents[3] / "analysis"
OTHER_DRAWS = {"statistics/intervals.py", "statistics/paired.py", "risk/volatility.py"}
"""The bootstrap, signs of the sign-flip test, and windows in random order."""


def test_nobody_else_draws_resamples() -> None:
    drawing = {
        str(path.relative_to(ANALYSIS))
        for path in ANALYSIS.rglob("*.py")
        if "default_rng" in path.read_text(encoding="utf-8")
    }
    assert drawing == OTHER_DRAWS


def test_the_same_draws_each_time_and_nobody_can_change_them() -> None:
    assert draws(5, 10) is draws(5, 10)
    with pytest.raises(ValueError, match="read-only"):
        draws(5, 10)[0, 0] = 1


def test_an_interval_of_a_ratio_keeps_pairs_together() -> None:
    base = np.random.default_rng(1).uniform(1.0, 3.0, 30)
    low, high = interval_over_seeds(30, lambda picks: (2.0 * base)[picks].sum(axis=1) / base[picks].sum(axis=1))
    assert (low, high) == pytest.approx((2.0, 2.0))


def test_of_a_mean_it_is_the_bootstrap() -> None:
    values = np.random.default_rng(2).normal(size=12)
    found = bootstrap(values, "mean", seed=3)
    assert interval_over_seeds(12, lambda picks: values[picks].mean(axis=1), seed=3) == (found.low, found.high)


def test_too_few_seeds_have_no_interval() -> None:
    assert all(map(math.isnan, interval_over_seeds(2, lambda picks: picks.mean(axis=1))))
    assert interval_over_seeds(2, lambda picks: picks.mean(axis=1), least=2) == (0.0, 1.0)


def test_weights_say_how_often_a_seed_was_drawn() -> None:
    weights = draw_weights(6, 500)
    assert (weights.sum(axis=1) == 6).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.2)


def test_blocks_hold_neighbours_and_close_the_circle() -> None:
    blocks = block_draws(7, 3, 200).reshape(200, -1, 3)
    assert blocks.shape[1] == 3
    assert ((np.diff(blocks, axis=2) % 7) == 1).all()
    assert set(np.unique(blocks)) == set(range(7))


def test_resamples_without_a_value_are_left_out() -> None:
    assert percentiles(np.array([1.0, math.nan, 1.0])) == (1.0, 1.0)
    assert all(map(math.isnan, percentiles(np.array([math.nan]))))
