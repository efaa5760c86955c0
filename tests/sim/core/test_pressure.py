"""Margin-call pressure has one definition: whoever reads a state finds the same number."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.analysis.explanation import why_it_stopped
from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.levels import ladder
from marginquake.analysis.levels.feedback import profile_before
from marginquake.analysis.risk import pressure
from marginquake.sim.cli.watch.watcher import liquidation_ladder, nearest
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.reach import Reach, notional_between, notional_reached, pressure_index, share_between
from tests.support.frames.positions import held_market

TICK, MARK = 0.025, 100.0
LONGS = {99.5: 3, 99.025: 4, 98.975: 5}
SHORTS = {100.6: 7, 100.975: 2, 101.025: 9}
BIDS = {99.95: 10, 99.025: 20, 98.95: 40}
ASKS = {100.05: 8, 100.975: 16, 101.5: 32}
"""Lots by price: the last of each lies beyond a move of 1 %."""
FORCED = {1: 3 * 99.5 + 4 * 99.025, -1: 7 * 100.6 + 2 * 100.975}
RESTING = {1: 10 * 99.95 + 20 * 99.025, -1: 8 * 100.05 + 16 * 100.975}


def tabled(levels: dict[float, int], edges: NDArray[Any]) -> NDArray[Any]:
    prices = np.array(list(levels))
    return np.histogram(prices, edges, weights=np.array(list(levels.values())) * prices)[0][None, :]


def recorded() -> MarketFrames:
    """The state as a run records it: positions, and a map that has every tick in a bin of its own."""
    market = held_market(
        lots=[*LONGS.values(), *(-lots for lots in SHORTS.values())],
        entry=MARK,
        liquidation=[*LONGS, *SHORTS],
    )
    edges = TICK * (np.arange(3700, 4302) - 0.5)
    tables = (tabled(levels, edges) for levels in (LONGS, SHORTS, BIDS, ASKS))
    return replace(market, map=LiquidationMap(np.array([0.0]), edges, *tables))


def live() -> Any:
    """The same state as a venue holds it."""

    def profile(edges: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return tuple(
            np.histogram([round(price / TICK) for price in levels], edges - 0.5, weights=list(levels.values()))[0]
            for levels in (BIDS, ASKS, LONGS, SHORTS)
        )

    fields = {"tick_size": TICK, "lot_size": 1, "money_unit": 1e-6, "initial_price": MARK}
    contract = ContractSpec.from_fields("held", fields, max_price_ticks=1, max_position_lots=1)
    exchange = SimpleNamespace(mark_ticks=round(MARK / TICK), profile=profile)
    return SimpleNamespace(exchange=exchange, contract=contract)


@pytest.mark.parametrize("side", [1, -1])
def test_whoever_reads_a_state_finds_the_same_pressure(side: int) -> None:
    market = recorded()
    assert market.map is not None
    wanted = FORCED[side], RESTING[side], FORCED[side] / RESTING[side]

    of_maps = pressure(market, 0.01, "fall" if side > 0 else "rise")
    assert (of_maps.forced[0], of_maps.depth[0], of_maps.index[0]) == pytest.approx(wanted)

    (rung,) = ladder(market, moves=(0.01,)).of(side)
    assert (rung.forced, rung.resting, rung.pressure) == pytest.approx(wanted)

    scene: Any = SimpleNamespace(market=market, falls=side > 0)
    assert why_it_stopped.pressure(scene, 0.0) == pytest.approx(wanted)

    near = nearest(liquidation_ladder(live()))
    watched = (
        (near.longs, near.bids, near.pressure_below) if side > 0 else (near.shorts, near.asks, near.pressure_above)
    )
    assert watched == pytest.approx(wanted)

    window = abs(math.log(1 - side * 0.01))
    profile = profile_before(market.map, MARK, 1.0, side, window=window)
    assert (profile.fuel[0] * window, profile.depth[0] * window, profile.at_price) == pytest.approx(wanted)


def test_shares_of_bins_are_lengths() -> None:
    edges = np.array([0.0, 1.0, 2.0, 4.0])
    assert share_between(edges, 0.5, 3.0).tolist() == [0.5, 1.0, 0.5]
    assert share_between(edges, np.array([0.5, 1.0]), np.array([3.0, 1.0])).tolist() == [[0.5, 1.0, 0.5], [0, 0, 0]]
    assert notional_between(edges, np.array([2.0, 3.0, 8.0]), 0.5, 3.0) == pytest.approx(8.0)


def test_a_fall_passes_what_is_above_its_end_and_a_rise_what_is_below() -> None:
    edges, notional = np.array([0.0, 1.0, 2.0, 4.0]), np.array([2.0, 3.0, 8.0])
    assert notional_reached(edges, notional, 3.0, 1) == pytest.approx(4.0)
    assert notional_reached(edges, notional, 3.0, -1) == pytest.approx(9.0)
    rows = notional_reached(edges, np.stack([notional, 10 * notional]), np.array([3.0, 0.5]), 1)
    assert rows == pytest.approx(np.array([4.0, 120.0]))


def test_pressure_is_infinite_where_something_is_forced_and_nothing_rests_and_nan_where_nothing_is_forced() -> None:
    found = pressure_index(np.array([2.0, 0.0, 3.0, 0.0]), np.array([0.0, 0.0, 6.0, 5.0]))
    np.testing.assert_array_equal(found, [np.inf, np.nan, 0.5, 0.0])
    assert Reach(0.01, 3.0, 2.0, 0.0, 0.0).pressure_below == 1.5
    assert Reach(0.01, 3.0, 0.0, 0.0, 0.0).pressure_below == math.inf
    assert Reach(0.01, 3.0, 2.0, 0.0, 4.0).pressure_above == 0.0
