"""Whole markets of an inverse contract: money, margin, hedges, and what is reported (docs/model.md, eq. 1, 160-162)."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.run_frames import load_run
from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import EventKind
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.paths import TINY
from tests.support.whole_market import OpenModel, digest_elsewhere, simulate

INVERSE = "contract={type: inverse}"
HARD_FALL = (
    INVERSE,
    "index.shocks=[{at: 2s, log_return: -6%, over: 4s}]",
    "venue.insurance.initial=1000",
    "venue.funding.interval=5s",
)


def test_every_invariant_holds_through_calls_deleveraging_and_funding() -> None:
    run = simulate(*HARD_FALL, check=True)
    seen = Counter(run.events["main"]["kind"].tolist())
    for kind in (EventKind.MARGIN_CALL, EventKind.LIQUIDATION_ENDED, EventKind.ADL, EventKind.FUNDING):
        assert seen[kind] > 0, kind.name


def test_equity_of_everybody_sums_to_what_was_paid_in(open_model: OpenModel) -> None:
    """Exactly, at any mark: a position's worth is linear in its lots."""
    model = open_model(TINY, *HARD_FALL)
    venue = model.sessions[0].venue
    for _ in range(model.steps_total):
        model.step()
    rows = venue.accounts.rows
    for mark in (venue.exchange.mark_ticks, 12_345, 1):
        unrealised = venue.contract.lot_value.value(rows["position_lots"], mark) - rows["cost"]
        assert int((rows["collateral"] + unrealised).sum()) == venue.net_deposits


def test_crowds_of_both_types_begin_alike(open_model: OpenModel) -> None:
    """The same deposits in quote units, the same leverage, liquidation nearly where the linear one has it."""
    books = []
    for overrides in ((), (INVERSE,)):
        model = open_model(TINY, *overrides)
        while model.now_ns < 0:
            model.step()
        model.step()
        venue = model.sessions[0].venue
        rows = venue.accounts.rows[SYSTEM_ROWS:]
        held = rows[(rows["liquidation_ticks"] > 0)]
        books.append((venue, rows["collateral"] * venue.contract.money_amount, held))
    (_, linear_money, linear), (_, inverse_money, inverse) = books
    assert inverse_money.sum() == pytest.approx(linear_money.sum(), rel=1e-3)
    assert len(inverse) == pytest.approx(len(linear), abs=2)
    notional = [
        venue.contract.notional(np.abs(rows["position_lots"]), venue.initial_ticks).sum() for venue, _, rows in books
    ]
    assert notional[1] == pytest.approx(notional[0], rel=0.02)
    assert np.median(inverse["liquidation_ticks"]) == pytest.approx(np.median(linear["liquidation_ticks"]), rel=0.01)


@pytest.mark.parametrize("environment", [{}, {"NUMBA_DISABLE_JIT": "1"}], ids=["another process", "JIT off"])
def test_the_digest_is_the_same_elsewhere(environment: dict[str, str]) -> None:
    short = (INVERSE, "duration=6s", "warmup=1s", "index.shocks=[{at: 1s, log_return: -4%, over: 2s}]")
    here = simulate(*short).summary["event_digest"]
    assert digest_elsewhere(environment, *short) == here


def test_a_run_and_its_report_are_written_in_quote_units(tmp_path: Path) -> None:
    scenario = load_scenario(TINY, AGENT_TYPES, [INVERSE, "duration=10s", "index.shocks.0.at=2s"])
    result = running.run(scenario, out=tmp_path)
    assert (result.path / "report.html").is_file()
    run = load_run(result.path)
    market = run.first
    assert market.contract.inverse
    assert market.contract.money_amount == pytest.approx(1e-8 * 100_000)
    first = {name: float(column[0]) for name, column in market.series.items()}
    assert first["insurance_fund"] == pytest.approx(5e6)
    assert 1e5 < first["bid_depth_1pct"] < 1e7, "quote units, like depth_1pct"
    fills = market.fills
    lots = fills.notional / market.contract.notional_per_lot(1.0) * fills.price
    assert np.allclose(lots, np.rint(lots)), "notional is lots at the price of the fill"
