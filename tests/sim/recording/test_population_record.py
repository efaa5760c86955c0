"""What populations hold is followed by events alone; a look at everybody must say the same."""

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.accounts import ACCOUNT, SYSTEM_ROWS
from marginquake.sim.core.records import EventKind
from marginquake.sim.kernels import tallies
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.loader import load_scenario
from tests.support.paths import TINY

ROUGH = (
    "venue.insurance.initial=0",
    "venue.funding.interval=4s",
    "venue.funding.sample_period=1s",
    "index.shocks=[{at: 3s, log_return: -6%, over: 2s}]",
    "populations.crowd.top_up_share=0.5",
    "populations.crowd.entry_time=10s",
    "populations.crowd.exit_time=10s",
    "populations.crowd.accounts=300",
    "fuel_ratio=3",
)
pytestmark = pytest.mark.model


def test_following_events_is_looking_at_everybody() -> None:
    model = MarketModel(load_scenario(TINY, AGENT_TYPES, ROUGH), AGENT_TYPES)
    venue, recorder = model.sessions[0].venue, model.sessions[0].recorder
    names = {number: str(number) for number in range(len(model.sessions[0].participants))}
    owner = venue.accounts.rows["owner"][SYSTEM_ROWS:]
    happened: set[int] = set()
    for _ in range(model.steps_total + model.setup.warmup_steps):
        model.step()
        happened |= set(model.sessions[0].last_events["kind"].tolist())
        if model.now_ns % model.setup.record.series_every:
            continue
        rows = venue.accounts.rows[SYSTEM_ROWS:]
        table = recorder.populations(names)
        equity = venue.exchange.mark_ticks * venue.contract.lot_value.at_one_tick * rows["position_lots"]
        money = (rows["collateral"] - rows["cost"] + equity) * float(venue.contract.money_unit)
        money += venue.spot.profit(np.arange(SYSTEM_ROWS, len(venue.accounts.rows)))
        for number in range(len(names)):
            held = rows["position_lots"][owner == number]
            at = len(table["time_s"]) - len(names) + number
            assert table["population"][at] == str(number)
            assert table["net_lots"][at] == held.sum()
            assert table["long_lots"][at] == held[held > 0].sum()
            assert table["short_lots"][at] == -held[held < 0].sum()
            assert table["accounts_open"][at] == np.count_nonzero(held)
            assert table["equity"][at] == pytest.approx(money[owner == number].sum(), rel=1e-9, abs=1e-3)
    wanted = {EventKind.FILL, EventKind.ADL, EventKind.FUNDING, EventKind.DEPOSIT, EventKind.LIQUIDATION_ENDED}
    assert wanted <= happened, "the market was rough enough for the test to mean something"


def test_sums_of_money_may_exceed_64_bits() -> None:
    accounts = np.zeros(SYSTEM_ROWS + 5, ACCOUNT)
    accounts["collateral"] = 2**62
    totals, seen = np.zeros(1, tallies.TOTAL), np.zeros(len(accounts), tallies.SEEN)
    tallies.recount(accounts, seen, totals, SYSTEM_ROWS)
    assert int(totals["paid_high"][0]) * tallies.PAID_UNIT + int(totals["paid"][0]) == 5 * 2**62
    accounts["collateral"][SYSTEM_ROWS] = -(2**62)
    tallies.recount(accounts, seen, totals, SYSTEM_ROWS)
    assert int(totals["paid_high"][0]) * tallies.PAID_UNIT + int(totals["paid"][0]) == 3 * 2**62
