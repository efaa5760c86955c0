"""Liquidation maps, clusters, open interest by entry, ladder: worked by hand, and against the run's own map."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.frames.run_frames import frames_of
from marginquake.analysis.levels import (
    LevelMap,
    concentration,
    crowded_runs,
    entry_map,
    entry_peaks,
    find_clusters,
    ladder,
    positions_at,
    snapshot_times,
    true_map,
)
from marginquake.analysis.levels.tables import as_plain
from marginquake.analysis.levels.true_map import BANDS, bin_edges
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.frames.positions import held_market
from tests.support.paths import TINY


def levels(long: Sequence[float], short: Sequence[float] = ()) -> LevelMap:
    """A map of one band with these bins, the rest empty."""
    edges = bin_edges()
    rows = [np.zeros((len(BANDS), len(edges) - 1)) for _ in range(2)]
    rows[0][0, : len(long)], rows[1][0, : len(short)] = long, short
    return LevelMap(0.0, 100.0, edges, BANDS, *rows)


def test_a_cluster_is_a_run_of_bins_above_three_medians() -> None:
    bins = np.ones(80)
    bins[4], bins[5], bins[20] = 10, 4, 3  # the median is 1; exactly three of it is not above
    (cluster,) = find_clusters(levels(bins.tolist()), side=1)
    assert (cluster.mass, cluster.peak_mass) == (14, 10)
    assert cluster.share == pytest.approx(14 / (77 + 17))
    assert (cluster.near, cluster.far, cluster.width) == pytest.approx((0.01, 0.015, 0.005))
    assert cluster.distance == pytest.approx((10 * 0.01125 + 4 * 0.01375) / 14)
    assert cluster.peak_distance == pytest.approx(0.01125)
    assert cluster.price_near == pytest.approx(100 * np.exp(-0.01))
    assert cluster.price_far == pytest.approx(100 * np.exp(-0.015))


def test_clusters_of_shorts_lie_above_the_mark_and_the_largest_comes_first() -> None:
    found = find_clusters(levels([0, 0, 50], [0, 0, 0, 80, 80]))
    assert [(cluster.side, cluster.mass) for cluster in found] == [(-1, 160), (1, 50)]
    assert found[0].price_near > 100 > found[1].price_near


def test_with_mostly_empty_bins_dust_is_no_cluster() -> None:
    bins = np.zeros(80)
    bins[:20] = 1
    bins[7] = 100  # the median is 0; an even spread is 119 / 80 a bin
    assert crowded_runs(bins) == [(7, 7)]
    assert crowded_runs(np.zeros(80)) == []
    assert crowded_runs(np.zeros(0)) == []


def test_concentration_of_known_shapes() -> None:
    even = concentration(np.full(10, 7.0))
    assert (even.hhi, even.gini, even.effective_bins) == pytest.approx((0.1, 0.0, 10.0))
    single = concentration(np.eye(10)[3])
    assert (single.hhi, single.gini) == pytest.approx((1.0, 0.9))
    assert concentration(np.array([1.0, 3.0])).gini == pytest.approx(0.25)
    assert np.isnan(concentration(np.zeros(10)).hhi)


def test_the_map_puts_every_account_at_its_own_price() -> None:
    market = held_market(
        lots=[10, -10, 5, -5],
        entry=[100, 100, 100, 100],
        liquidation=[97, 104, np.nan, 103.9],
        leverage=[25, 20, 1, 90],
    )
    truth = true_map(market)
    first = int(np.log(100 / 97) / 0.0025)
    assert truth.of(1)[first] == pytest.approx(10 * 97)
    assert truth.mass(1) == pytest.approx(970)
    assert truth.mass(-1) == pytest.approx(10 * 104 + 5 * 103.9)
    assert truth.cumulative(1)[first - 1] == 0
    assert truth.cumulative(1)[-1] == pytest.approx(970)
    by_band = {band.label: float(row.sum()) for band, row in zip(BANDS, truth.short, strict=True)}
    assert by_band["15-35x"] == pytest.approx(1040)
    assert by_band["70x and more"] == pytest.approx(519.5)
    low, high = truth.prices(1)[first + 1], truth.prices(1)[first]
    assert low <= 97 <= high


def test_bands_by_effective_leverage_go_by_equity() -> None:
    market = held_market(lots=[10, -10], entry=[100, 100], liquidation=[97, 104], leverage=[25, 20], equity=[250, 10])
    truth = true_map(market, leverage="effective")
    assert truth.long[1].sum() == pytest.approx(970), "4x"
    assert truth.short[5].sum() == pytest.approx(1040), "100x"


def test_called_accounts_and_far_ones_are_told_apart() -> None:
    market = held_market(
        lots=[10, 10, -20], entry=[100, 100, 100], liquidation=[np.nan, 60, 130], stage=[2, 0, 0], leverage=[25, 2, 3]
    )
    truth = true_map(market)
    assert truth.called == pytest.approx(1000)
    assert truth.beyond_long == pytest.approx(1000)
    assert truth.beyond_short == pytest.approx(2000)
    assert truth.mass(1) == truth.mass(-1) == 0


@given(
    lots=st.lists(st.integers(-(10**6), 10**6).filter(bool), min_size=1, max_size=30),
    seed=st.integers(0, 2**32 - 1),
)
def test_open_interest_by_entry_is_all_open_interest_of_both_sides(lots: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    balanced = [*lots, *([-sum(lots)] if sum(lots) else [])]
    count = len(balanced)
    market = held_market(
        lots=balanced, entry=100 * np.exp(rng.normal(0, 0.15, count)), liquidation=np.full(count, np.nan)
    )
    entries = entry_map(market)
    held = positions_at(market)
    assert entries.open_interest(1) == pytest.approx(held.notional[held.side > 0].sum())
    assert entries.open_interest(1) == pytest.approx(entries.open_interest(-1))


def test_peaks_and_leverage_of_open_interest() -> None:
    market = held_market(
        lots=[60, 30, 10, -100],
        entry=[101, 101.1, 90, 100],
        liquidation=[97, 97, 85, np.nan],
        equity=[300, 150, 100, 5000],
    )
    entries = entry_map(market)
    peak = entry_peaks(entries, side=1)[0]
    assert peak.notional == pytest.approx(90 * 100)
    assert peak.share == pytest.approx(0.9)
    assert peak.price_low <= 101 < 101.1 <= peak.price_high
    assert entries.callable_leverage == pytest.approx(10_000 / 550), "the short cannot be called"


def book(market: MarketFrames) -> MarketFrames:
    """With 40 a price unit resting on either side, on a map from 90 to 110."""
    edges = np.linspace(90, 110, 21)
    empty = np.zeros((2, 20))
    bids, asks = (np.where(below, 40.0, 0.0) * np.ones((2, 1)) for below in (edges[1:] <= 100, edges[:-1] >= 100))
    return replace(market, map=LiquidationMap(np.array([0.0, 10.0]), edges, empty, empty, bids, asks))


def test_the_ladder_by_hand() -> None:
    market = book(
        held_market(
            lots=[3, 2, 1, -6],
            entry=[100] * 4,
            liquidation=[99.5, 98, np.nan, 101],
            stage=[0, 0, 2, 0],
            leverage=[50] * 4,
        )
    )
    rungs = ladder(market, moves=(0.01, 0.02, 0.2))
    assert (rungs.time_s, rungs.depth_s, rungs.mark, rungs.called) == (0.0, 0.0, 100.0, pytest.approx(100))
    near, far, unseen = rungs.of(1)
    assert (near.forced, near.accounts, near.resting) == (pytest.approx(3 * 99.5), 1, pytest.approx(40))
    assert near.absorbed == pytest.approx(40)
    assert near.pressure == pytest.approx(3 * 99.5 / 40)
    assert (far.forced, far.accounts, far.resting) == (pytest.approx(3 * 99.5 + 2 * 98), 2, pytest.approx(80))
    assert np.isnan(unseen.resting), "the map ends at 10 %"
    assert np.isnan(unseen.pressure)
    assert replace(near, resting=0.0).pressure == np.inf
    assert np.isnan(replace(near, resting=0.0, forced=0.0).pressure)
    up = rungs.of(-1)
    assert [rung.forced for rung in up] == pytest.approx([606, 606, 606])


def test_the_last_snapshot_before_a_time_is_the_one() -> None:
    market = held_market(lots=[1, -1], entry=[100, 100], liquidation=[97, 103], times=(0.0, 60.0))
    assert positions_at(market, 59.9).time_s == 0
    assert positions_at(market, 60).time_s == 60
    assert "first is at 0 s" in positions_at(market, -1).missing


def test_without_snapshots_and_accounts_nothing_is_known() -> None:
    empty = replace(held_market(lots=[1, -1], entry=[100, 100], liquidation=[97, 103]), read_positions=dict)
    assert positions_at(empty).missing
    assert find_clusters(true_map(empty)) == ()
    assert np.isnan(entry_map(empty).callable_leverage)
    assert ladder(empty).rungs == ()
    assert len(snapshot_times(empty)) == 0


def test_in_plain_data_an_infinite_pressure_is_not_none() -> None:
    held = held_market(lots=[3, -3], entry=[100, 100], liquidation=[99.5, 150], leverage=[50, 2])
    market = book(held)
    assert market.map is not None
    empty = np.zeros((2, 20))
    market = replace(market, map=replace(market.map, bid_depth=empty, ask_depth=empty), events_kept="none")
    rungs = {(each["side"], each["move"]): each for each in as_plain(market)["ladder"]}
    assert rungs[1, 0.01]["pressure"] == "Infinity", "something waits, nothing rests"
    assert rungs[-1, 0.01]["pressure"] is None, "nothing waits, nothing rests"
    assert float(rungs[1, 0.01]["pressure"]) == np.inf


@pytest.mark.model
def test_the_true_map_is_the_map_of_the_run() -> None:
    fall = "index.shocks=[{at: 3s, log_return: -6%, over: 2s}]"
    rough = ["record.positions_every=5s", "fuel_ratio=3", fall, "liquidation.enabled=false"]
    loaded = load_scenario(TINY, AGENT_TYPES, rough)
    data = running.simulate(loaded, 1)
    market = frames_of(data, loaded).first
    assert market.map is not None
    edges = market.map.price_edges
    called = 0
    for row, time_s in enumerate(market.map.time_s.tolist()):
        held = positions_at(market, time_s)
        assert held.time_s == time_s
        called += int(held.called.sum())
        for side, recorded in ((1, market.map.long_notional[row]), (-1, market.map.short_notional[row])):
            own = held.waiting & (held.side == side)
            ours = np.histogram(held.liquidation_price[own], edges, weights=held.forced[own])[0]
            np.testing.assert_allclose(ours, recorded, rtol=edges[1] / edges[0] - 1)
            inside = own & (held.liquidation_price >= edges[0]) & (held.liquidation_price < edges[-1])
            truth = true_map(market, time_s)
            beyond = truth.beyond_long if side > 0 else truth.beyond_short
            far = own & (held.distance >= 0.2)
            assert truth.mass(side) == pytest.approx(held.forced[own & ~far].sum())
            assert beyond == pytest.approx(held.notional[far].sum())
            assert held.forced[inside].sum() == pytest.approx(recorded.sum(), rel=1e-3)
    assert called > 0, "there were accounts that wait no longer"


@pytest.mark.model
def test_the_start_from_the_accounts_is_the_first_snapshot() -> None:
    loaded = load_scenario(TINY, AGENT_TYPES, ["fuel_ratio=3"])
    market = frames_of(running.simulate(loaded, 1), loaded).first
    snapshot = positions_at(market)
    accounts = positions_at(replace(market, read_positions=dict))
    for name in ("account", "position_lots", "entry_price", "liquidation_price", "notional", "forced"):
        np.testing.assert_allclose(getattr(accounts, name), getattr(snapshot, name))
    for_map: Any = (true_map(market), true_map(replace(market, read_positions=dict)))
    np.testing.assert_allclose(for_map[0].long, for_map[1].long)
