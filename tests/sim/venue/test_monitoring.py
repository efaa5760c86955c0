"""What looking only now and then, and waiting, does to margin calls; nothing that is traded moves the index."""

import math
from pathlib import Path

import numpy as np
import pytest

from marginquake.analysis.frames.run_frames import frames_of
from marginquake.analysis.measures.call_accuracy import transient_share
from marginquake.analysis.measures.cases import Liquidations
from marginquake.sim.core.records import EventKind
from tests.support.still_market import PRICE, OpenStillMarket, StillMarket
from tests.support.strategies import THOROUGH

VOLATILITY = 30.0
"""Per year: 534 ticks a square root of a second, so that a tick is 0.2 % of it."""
BGK = 0.5826
"""-zeta(1/2) / sqrt(2 pi): Broadie, Glasserman and Kou 1997, "A continuity correction for discrete barrier options"."""


def mean_overshoot(folder: Path, period_s: int, seeds: range) -> float:
    """Mean of (trigger - mark) / trigger at the first call of accounts whose triggers are spread evenly over 24 %."""
    beyond = []
    for seed in seeds:
        market = StillMarket(
            folder,
            seed,
            check=False,
            nobody_trades=True,
            step="1s",
            duration="40min",
            index={"fundamental": {"volatility": VOLATILITY}, "feedback": {"enabled": False}},
            venue={"mark": {"rule": "index", "period": f"{period_s}s"}},
            liquidation={"enabled": False, "monitor_period": f"{period_s}s"},
            record={"series_every": "60s", "map_every": "40min"},
            crowd={
                "accounts": 1000,
                "long_share": 0.5,
                "entry_offset": {"distribution": "uniform", "minimum": -0.25, "maximum": -0.01},
            },
        )
        events = market.finish().events["main"]
        calls = events[events["kind"] == EventKind.MARGIN_CALL]
        _, first = np.unique(calls["account"], return_index=True)
        calls = calls[first]
        trigger = calls["price_ticks"].astype(np.float64)
        beyond.append(calls["side"] * (trigger - calls["mark_ticks"]) / trigger)
    return float(np.concatenate(beyond).mean())


@pytest.mark.slow
def test_overshoot_is_that_of_broadie_glasserman_and_kou_and_goes_as_the_root_of_the_period(tmp_path: Path) -> None:
    """One standard deviation over such sets of seeds is about 5 % for the short period and 8 % for the long one."""
    tick = 1 / PRICE
    second = VOLATILITY / math.sqrt(365 * 86_400)
    assert tick < 0.02 * second, "the index is fine enough"
    seeds = range(1, 17)
    short, long = (mean_overshoot(tmp_path, period_s, seeds) for period_s in (1, 4))
    assert short / (BGK * second) == pytest.approx(1, abs=0.12)
    assert long / (BGK * 2 * second) == pytest.approx(1, abs=0.18)
    assert long / short == pytest.approx(2, rel=0.2)


@pytest.mark.slow
def test_more_grace_gives_fewer_transient_liquidations_and_more_bad_debt(still_market: OpenStillMarket) -> None:
    """Shorter or wilder runs leave seeds without a call ten minutes before the end, and nothing to measure."""
    transient, debt = {}, {}
    for grace in ("0", "15s", "90s"):
        totals = []
        for seed in range(1, 1 + 5 * THOROUGH):
            market = still_market(
                seed,
                check=False,
                step="1s",
                duration="40min",
                index={"fundamental": {"volatility": 4}, "feedback": {"enabled": False}},
                venue={"call": {"grace": grace}},
                liquidation={"capacity": 10_000},
                record={"series_every": "1s", "map_every": "40min", "events": "liquidations"},
                crowd={
                    "accounts": 200,
                    "long_share": 0.5,
                    "leverage": 50,
                    "entry_offset": {"distribution": "uniform", "minimum": -0.04, "maximum": 0.005},
                },
            )
            data = market.finish()
            seen = Liquidations(next(iter(frames_of(data, market.model.setup).markets.values())))
            totals.append((transient_share(seen) * data.summary["liquidations"], data.summary["bad_debt"]))
        transient[grace], debt[grace] = np.mean(totals, axis=0)
    assert transient["0"] > 1.1 * transient["15s"] > 1.1 * 1.1 * transient["90s"]
    assert debt["0"] < debt["15s"] < debt["90s"]
