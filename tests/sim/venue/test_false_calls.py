"""Margin calls that only the last price asked for (eq. 7c): prints spike, quotes and index stand still.

The prints are trades: a seller sweeps a small best bid and takes one lot far below, and the maker quotes again a
millisecond later, so that every step ends with the book as it was.
"""

from typing import Any, ClassVar

import numpy as np
import pytest

from marginquake.agents.base import Participant
from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.records import EventKind, Side
from marginquake.sim.market.context import SeedPositions
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.rules.mark import MarkConfig
from tests.support.scripted_market import PRICE, STEP_NS, Part, PartConfig, part_market

BID, ASK = PRICE - 1, PRICE + 1
SPIKE = PRICE * 95 // 100
SPIKE_FROM, SPIKE_TO = 20, 70
"""Steps of 100 ms: 5 s."""
MARGINS = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08)
"""Collateral of each long over its notional; the first four are called at the spike, the others would be below it."""


class Maker(Participant):
    """Ten lots at the touch and many 5 % away, again at every step."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        orders.cancel_all(self.rows)
        for side, near, far in ((Side.BUY, BID, SPIKE), (Side.SELL, ASK, 2 * PRICE - SPIKE)):
            orders.limit(self.rows, side, near, 10)
            orders.limit(self.rows, side, far, 1000)


class Spiker(Participant):
    """Sells one lot more than the best bid holds, at every step of the spike; then buys one at the touch."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        if SPIKE_FROM <= market.step < SPIKE_TO:
            orders.market(self.rows, Side.SELL, 11)
        elif market.step == SPIKE_TO:
            orders.market(self.rows, Side.BUY, 1)


class Longs(Participant):
    """One base unit each, with the collateral of `MARGINS`."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        unit = self.context.contract.to_money(PRICE)
        self.context.table.rows["collateral"][self.rows] = [round(m * unit) for m in MARGINS]
        return SeedPositions(np.full(len(MARGINS), 100), np.full(len(MARGINS), PRICE))

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Holds."""


class Shorts(Participant):
    """The other side of the longs."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        return SeedPositions(np.zeros(1, np.int64), np.array([PRICE]), takes_other_side=True)

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Holds."""


def run(rule: str) -> tuple[dict[str, np.ndarray], list[int]]:
    """The series of ten seconds, and the liquidation prices at which accounts were called."""
    model = part_market(
        {
            "maker": Part(Maker, latency_ns=2_000_000),
            "spiker": Part(Spiker, latency_ns=1_000_000),
            "longs": Part(Longs, accounts=len(MARGINS)),
            "shorts": Part(Shorts),
        },
        venue={"mark": MarkConfig(rule=rule, period=SECOND)},
    )
    called: list[int] = []
    for _ in range(100):
        model.step()
        events = model.sessions[0].last_events
        called += events["price_ticks"][events["kind"] == EventKind.MARGIN_CALL].tolist()
    return model.sessions[0].recorder.series(), called


def assert_quotes_and_index_stand_still(series: dict[str, np.ndarray]) -> None:
    quoted = series["time_s"] >= 0.1
    assert (series["best_bid"][quoted] == BID).all()
    assert (series["best_ask"][quoted] == ASK).all()
    assert (series["index"] == PRICE).all()
    spike = (series["time_s"] > SPIKE_FROM * STEP_NS / 1e9) & (series["time_s"] <= SPIKE_TO * STEP_NS / 1e9)
    assert (series["last"][spike] == SPIKE).all()
    assert spike.sum() == 50, "five seconds"


def test_a_spike_of_last_prints_calls_accounts_falsely_where_the_mark_is_the_last_price() -> None:
    series, called = run("last")
    assert_quotes_and_index_stand_still(series)
    assert len(called) == 4
    assert all(SPIKE <= price < PRICE for price in called)
    assert min(series["fundamental"]) > max(called), (
        "false: no liquidation price was ever met by what the asset is worth"
    )


@pytest.mark.parametrize("rule", ["median_of_three", "mid", "index", "fair_price", "hyperliquid"])
def test_the_same_spike_calls_nobody_where_quotes_and_index_have_a_say(rule: str) -> None:
    series, called = run(rule)
    assert_quotes_and_index_stand_still(series)
    assert called == []
