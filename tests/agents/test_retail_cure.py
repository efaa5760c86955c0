"""Facts about accounts that answer warnings and margin calls: who, when, how, and how much (docs/model.md, eq. 38a)."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginquake.sim.core.records import AuditCause, EventKind, Stage
from tests.support.still_market import OpenStillMarket, StillMarket, fall

HALF_LIFE_S = 20.0


def called_crowd(folder: Path, cure: dict[str, Any] | None, seed: int = 1, **changes: Any) -> StillMarket:
    """Everybody is called at 3 s or so, the price stands still from then on, and the window is 60 s."""
    traits = changes.pop("crowd", {})
    call = changes.pop("call", {"window": "60s"})
    index = {"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": [fall(0.0465)]}
    return StillMarket(
        folder,
        seed,
        index=index,
        venue={"call": call},
        crowd=traits | ({"cure": cure} if cure else {}),
        duration="90s",
        **changes,
    )


def cures(data: Any) -> Any:
    """Audit rows of calls that ended without a forced sale."""
    audit = data.audit["main"]
    return audit[(audit["from_stage"] == Stage.CALLED) & (audit["to_stage"] < Stage.CALLED)]


def test_the_cured_fraction_follows_the_exponential_law(tmp_path: Path) -> None:
    """Among responsive accounts, price still: 1 - exp(-lambda T) from the call, within four binomial deviations."""
    cure = {"responsive_share": 1, "half_life": "20s", "reduce_share": 0}
    market = called_crowd(tmp_path, cure, crowd={"accounts": 2000}, check=False)
    data = market.finish()
    audit, cured = data.audit["main"], cures(data)
    calls = int((audit["to_stage"] == Stage.CALLED).sum())
    assert calls > 1900
    assert set(cured["cause"].tolist()) == {AuditCause.TOPPED_UP}
    # the venue looks once a second, and accounts hear of a call one step later: a cure shows up to 1.2 s later
    events = data.events["main"]
    deposits = events[events["kind"] == EventKind.DEPOSIT]
    called_ns = audit["time_ns"][audit["to_stage"] == Stage.CALLED].min()
    for seconds in (5.0, 10.0, 20.0, 40.0):
        expected = 1.0 - math.exp(-math.log(2.0) / HALF_LIFE_S * seconds)
        answered = float((deposits["time_ns"] - called_ns <= round(seconds * 1e9)).sum()) / calls
        assert abs(answered - expected) < 4 * math.sqrt(expected * (1 - expected) / calls) + 0.004, seconds
    within = 1.0 - math.exp(-math.log(2.0) / HALF_LIFE_S * 60.0)
    assert abs(len(cured) / calls - within) < 4 * math.sqrt(within * (1 - within) / calls) + 0.006
    assert data.summary["liquidations"] == calls - len(cured)


def test_only_the_responsive_answer(tmp_path: Path) -> None:
    cure = {"responsive_share": 0.3, "half_life": "1s"}
    data = called_crowd(tmp_path, cure, crowd={"accounts": 1000}, check=False).finish()
    calls = int(data.summary["margin_calls"])
    assert abs(len(cures(data)) / calls - 0.3) < 4 * math.sqrt(0.21 / calls)


@pytest.mark.parametrize("mode", ["isolated", "cross"])
@pytest.mark.parametrize("reduce_share", [0, 1])
def test_what_they_do_restores_the_target(still_market: OpenStillMarket, mode: str, reduce_share: int) -> None:
    cure = {"responsive_share": 1, "half_life": "1s", "reduce_share": reduce_share, "target": 0.5}
    crowd = {"margin_mode": mode, "cure": cure, "accounts": 60}
    shock = fall(0.0465 if mode == "isolated" else 0.0485)
    index = {"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": [shock]}
    market = still_market(index=index, venue={"call": {"window": "60s"}}, crowd=crowd, duration="40s")
    data = market.finish()
    cured = cures(data)
    assert len(cured) > 50
    assert set(cured["cause"].tolist()) == {AuditCause.REDUCED if reduce_share else AuditCause.TOPPED_UP}
    ratio = cured["maintenance"] / cured["equity"]
    # they sell at one tick below the mark, and in whole lots
    assert np.abs(ratio - 0.5).max() < 0.02
    assert data.summary["liquidations"] < 0.1 * len(cured)


def test_a_warning_starts_the_clock(still_market: OpenStillMarket) -> None:
    cure = {"responsive_share": 1, "half_life": "2s"}
    call = {"warning": 0.6, "window": "60s"}
    index = {"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": [fall(0.0425)]}
    crowd = {"cure": cure}
    data = still_market(index=index, venue={"call": call}, crowd=crowd, duration="40s").finish()
    audit = data.audit["main"]
    lifted = audit[(audit["from_stage"] == Stage.WARNED) & (audit["to_stage"] == Stage.OK)]
    assert len(lifted) > 30
    assert set(lifted["cause"].tolist()) == {AuditCause.TOPPED_UP}
    assert data.summary["margin_calls"] == 0


def test_without_a_cure_block_nobody_answers(tmp_path: Path) -> None:
    data = called_crowd(tmp_path, None).finish()
    assert len(cures(data)) == 0
    assert data.summary["liquidations"] == data.summary["margin_calls"] > 0


def test_a_window_of_zero_leaves_no_time(tmp_path: Path) -> None:
    cure = {"responsive_share": 1, "half_life": "20s"}
    data = called_crowd(tmp_path, cure, call={}).finish()
    assert len(cures(data)) == 0
