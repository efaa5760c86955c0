"""The map that an outsider draws: exact where its assumptions hold, wrong where they do not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels import Assumed, map_error, outsider_errors, outsider_map, seeded_share, true_map
from marginquake.analysis.levels.outsider_map import fresh_levels
from marginquake.analysis.levels.positions import positions_at
from marginquake.analysis.levels.true_map import BANDS, BIN, LevelMap, bin_edges
from marginquake.sim.core.records import EVENT, EventKind, Side
from marginquake.sim.rules.formulas.liquidation_price import liquidation_price
from tests.support.frames.positions import BRACKETS, TICK, held_market

M = BRACKETS[0].maintenance
ASSUMED = Assumed((10, 25, 50), (0.5, 0.3, 0.2))
PRINTS = ((99.8, 1000), (100.0, 2000), (100.3, 500))
"""Price and lots of each trade."""


def trades(prints: Any = PRINTS, time_s: float = 0.5) -> Any:
    events = np.zeros(len(prints), EVENT)
    events["kind"], events["time_ns"] = EventKind.FILL, round(time_s * 1e9)
    events["price_ticks"] = [round(price / TICK) for price, _ in prints]
    events["quantity_lots"] = [lots for _, lots in prints]
    return events


def opened(**more: Any) -> MarketFrames:
    """Every trade opened a long and a short at each of the assumed leverages, in the assumed proportions."""
    lots, entry, level, leverage = [], [], [], []
    for price, traded in PRINTS:
        for lever, weight in zip(ASSUMED.leverages, ASSUMED.weights, strict=True):
            for side in (1, -1):
                lots.append(side * round(traded * weight))
                entry.append(price)
                level.append(float(fresh_levels(np.array([price]), lever, side, M, inverse=False)[0]))
                leverage.append(lever)
    given = {"times": (1.0,), "events": trades()} | more
    return held_market(lots, entry, level, leverage=leverage, **given)


@pytest.mark.parametrize("knows", ["prints", "entries"])
def test_where_the_assumptions_hold_the_map_is_exact(knows: Any) -> None:
    market = opened()
    estimate = outsider_map(market, 1.0, knows, ASSUMED)
    np.testing.assert_allclose(estimate.long, true_map(market, 1.0).long)
    np.testing.assert_allclose(estimate.short, true_map(market, 1.0).short)
    error = map_error(true_map(market, 1.0), estimate)
    assert error.correlation == pytest.approx(1.0)
    assert error.rank_correlation == pytest.approx(1.0)
    assert error.mass_ratio == pytest.approx(1.0)
    assert error.wasserstein == pytest.approx(0.0, abs=1e-12)


def test_the_public_distance_is_that_of_a_fresh_isolated_position() -> None:
    for side in (Side.BUY, Side.SELL):
        for leverage in (5.0, 20.0, 100.0):
            (ours,) = fresh_levels(np.array([100.0]), leverage, int(side), M, inverse=False)
            assert ours == pytest.approx(liquidation_price(side, 1.0, 100.0, 100.0 / leverage, M, 0.0))
            distance = (1 / leverage - M) / (1 - side * M)
            assert ours == pytest.approx(100 * (1 - side * distance))


def test_an_inverse_long_is_called_where_its_coin_is_used_up_to_maintenance() -> None:
    (level,) = fresh_levels(np.array([100.0]), 10.0, 1, M, inverse=True)
    coin, owed = 1 / (100 * 10), 1 / level - 1 / 100  # per quote unit of position
    assert coin - owed == pytest.approx(M / level)
    (never,) = fresh_levels(np.array([100.0]), 1.0, -1, M, inverse=True)
    assert np.isinf(never)


def test_a_level_that_the_mark_has_crossed_since_is_gone() -> None:
    path = {"time_s": np.arange(4.0), "mark": np.array([100.0, 100.0, 96.0, 100.0])}
    before = outsider_map(opened(series=path), 1.0, assumed=ASSUMED)
    market = opened(series=path, times=(3.0,))
    after = outsider_map(market, 3.0, assumed=ASSUMED)
    kept = before.centers > -np.log(0.96)
    assert before.of(1)[~kept].sum() > 0
    assert after.of(1)[~kept].sum() == 0
    np.testing.assert_allclose(after.of(1)[kept], before.of(1)[kept])
    np.testing.assert_allclose(after.of(-1), before.of(-1))
    old = opened(series=path, times=(3.0,), events=trades(time_s=2.5))
    np.testing.assert_allclose(outsider_map(old, 3.0, assumed=ASSUMED).of(1), before.of(1))


def test_half_of_the_volume_is_gone_after_a_half_life() -> None:
    market = opened(times=(1.0,))
    whole = outsider_map(market, 1.0, assumed=ASSUMED)
    half = outsider_map(market, 1.0, assumed=replace(ASSUMED, half_life_s=0.5))
    np.testing.assert_allclose(half.long, 0.5 * whole.long)


def test_leverage_that_the_venue_does_not_offer_is_not_assumed() -> None:
    market = replace(opened(), brackets=(replace(BRACKETS[0], max_leverage=25.0),))
    estimate = outsider_map(market, 1.0, assumed=ASSUMED)
    assert estimate.long[4:].sum() == 0
    assert estimate.mass(1) > true_map(market, 1.0).mass(1) * 0.9, "the others carry its weight"


def test_prints_say_nothing_of_positions_that_were_there_before() -> None:
    market = opened(times=(0.0, 1.0))
    accounts = market.accounts | {
        "position_start": np.concatenate([np.zeros(3, np.int64), positions_at(market).position_lots]),
        "entry_start": np.concatenate([np.full(3, np.nan), positions_at(market).entry_price]),
    }
    seeded = replace(market, accounts=accounts)
    start, later = outsider_errors(seeded, "prints", ASSUMED)
    assert (start.traded, start.seeded_share) == (0.0, 1.0)
    assert np.isnan(start.correlation), "there is no map yet"
    assert start.mass_ratio == 0
    assert later.correlation == pytest.approx(1.0)
    changed = replace(market, accounts=accounts | {"position_start": 2 * accounts["position_start"]})
    assert seeded_share(changed, positions_at(changed, 1.0)) == 0


def test_without_kept_fills_the_volume_of_the_series_has_to_do() -> None:
    path = {"time_s": np.array([0.0, 1.0]), "last": np.array([100.0, 100.0]), "volume": np.array([0.0, 350_000.0])}
    market = replace(opened(series=path, events=None), events_kept="liquidations")
    weights = zip(ASSUMED.leverages, ASSUMED.weights, strict=True)
    expected = sum(350_000 * weight * (1 - 1 / leverage) / (1 - M) for leverage, weight in weights)
    assert outsider_map(market, 1.0, assumed=ASSUMED).mass(1) == pytest.approx(expected)


def test_errors_by_hand() -> None:
    bins = np.zeros(80)
    true, guess = bins.copy(), bins.copy()
    true[[4, 12, 20]], guess[[5, 13, 21]] = (3, 2, 1), (6, 4, 2)

    def a_map(long: Any) -> LevelMap:
        rows = np.zeros((len(BANDS), 80))
        rows[2] = long
        return LevelMap(0.0, 100.0, bin_edges(), BANDS, rows, np.zeros_like(rows))

    error = map_error(a_map(true), a_map(guess))
    assert error.mass_ratio == pytest.approx(2)
    assert error.wasserstein == pytest.approx(BIN), "everything lies one bin too far away"
    assert error.correlation < 0
    assert np.isnan(error.rank_correlation), "it has nothing in any true cluster"
    backwards = bins.copy()
    backwards[[4, 12, 20]] = (1, 2, 3)
    assert map_error(a_map(true), a_map(backwards)).rank_correlation == pytest.approx(-1)


def test_assumptions_must_be_whole() -> None:
    with pytest.raises(ValueError, match="a weight for every leverage"):
        Assumed((10, 20), (1.0,))
    with pytest.raises(ValueError, match="half-life above 0"):
        Assumed((10,), (1.0,), half_life_s=0)


def test_trades_alone_need_no_snapshot() -> None:
    market = opened()
    blind = replace(market, read_positions=dict)
    np.testing.assert_allclose(
        outsider_map(blind, 1.0, assumed=ASSUMED).long, outsider_map(market, 1.0, assumed=ASSUMED).long
    )
    assert outsider_map(blind, 1.0, "entries", ASSUMED).missing
    assert outsider_errors(blind) == ()


def test_no_brackets_no_map() -> None:
    empty = outsider_map(replace(opened(), brackets=()), 1.0)
    assert empty.missing == "the scenario names no margin brackets"
    assert empty.mass(1) == 0
