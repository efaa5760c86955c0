"""Facts about what makes retail accounts enter: trend, each other, disposition, and the leverage they choose."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents.retail.entry import MinuteVolatility
from marginquake.sim.core.records import EventKind, OrderKind, Side
from tests.support.one_participant import PRICE, Booth, seat_of

MINUTE = 600
"""Steps in a minute of the harness."""


def enter(booth: Booth, steps: int, ticks_per_step: float = 0.0) -> NDArray[Any]:
    """What is said while the price moves evenly."""
    start, said = booth.step, []
    for _ in range(steps):
        price = round(PRICE + ticks_per_step * (booth.step - start))
        said.append(booth.decide(bid=price - 2, ask=price + 2, mark_ticks=price))
    return np.concatenate(said)


# ---- trend ----------------------------------------------------------------------------------------------------------


def test_trend_chasers_buy_after_a_rise_and_sell_after_a_fall() -> None:
    settings: dict[str, Any] = {"entry_time": "60s", "long_share": 0.5, "trend_time": "60s", "leverage": 5}
    shares, accounts = {}, {}
    for sensitivity in (0.0, 1.0):
        for slope in (-1, 0, 1):
            booth = seat_of("retail", trend_sensitivity=sensitivity, **settings)
            said = enter(booth, 600, slope)[-8000:]
            shares[sensitivity, slope] = (said["side"] == Side.BUY).mean()
            accounts[sensitivity, slope] = said["account"]
    assert shares[1.0, 1] > 0.8
    assert shares[1.0, -1] < 0.2
    assert shares[1.0, 0] == pytest.approx(0.5, abs=0.03)
    assert shares[0.0, 1] == shares[0.0, -1]
    for slope in (-1, 0, 1):
        assert (accounts[1.0, slope] == accounts[0.0, slope]).all(), "who enters does not depend on the trend"


@pytest.mark.parametrize("long_share", [0.0, 1.0])
def test_a_one_sided_crowd_stays_one_sided_whatever_the_trend(long_share: float) -> None:
    booth = seat_of("retail", entry_time="60s", long_share=long_share, trend_time="30s", trend_sensitivity=3)
    said = enter(booth, 400, 2 if long_share == 0 else -2)
    assert (said["side"] == (Side.BUY if long_share else Side.SELL)).all()


# ---- self-excitation ------------------------------------------------------------------------------------------------

BUSY: dict[str, Any] = {"accounts": 2000, "entry_time": "200s", "exit_time": "400s", "leverage": 5}
EXCITED: dict[str, Any] = BUSY | {"excitation": 0.6, "excitation_time": "5s"}


def counts_per_second(booth: Booth, seconds: int) -> NDArray[np.int64]:
    return np.array([sum(len(booth.decide()) for _ in range(10)) for _ in range(seconds)])


def test_excitation_clusters_entries_and_keeps_their_mean_rate() -> None:
    plain, excited = (counts_per_second(seat_of("retail", **settings), 300) for settings in (BUSY, EXCITED))
    assert plain.mean() == pytest.approx(10, rel=0.05)
    assert excited.mean() == pytest.approx(10, rel=0.15)

    def fano(counts: NDArray[np.int64]) -> float:
        blocks = counts.reshape(-1, 20).sum(axis=1)
        return float(blocks.var() / blocks.mean())

    assert fano(plain) < 2
    assert fano(excited) > 2.5, "a Hawkes process with branching ratio 0.6 has 1/(1 - 0.6)^2 = 6 in the long run"


def test_a_burst_of_entries_fades_with_excitation_time() -> None:
    booth = seat_of("retail", **EXCITED)
    booth.decide()
    excitation = booth.participant._excitation
    assert excitation.multiple == pytest.approx(1.0, rel=0.1)
    excitation.entered(100)
    excited = excitation.multiple - 0.4
    assert excited == pytest.approx(0.6 * (1 + 100 / 5 / 10), rel=0.15)
    for _ in range(50):
        excitation.entered(0)
    assert excitation.multiple - 0.4 == pytest.approx(excited / np.e, rel=0.01)


def test_excitation_is_capped() -> None:
    booth = seat_of("retail", **EXCITED, excitation_cap=2)
    booth.decide()
    booth.participant._excitation.entered(100_000)
    assert booth.participant._excitation.multiple == 2
    assert counts_per_second(booth, 3).mean() == pytest.approx(20, rel=0.35)


def test_those_who_rest_after_a_liquidation_incite_nobody_and_are_not_expected() -> None:
    booth = seat_of("retail", **EXCITED)
    rows = booth.participant.rows
    booth.tell(*({"kind": EventKind.LIQUIDATION_STARTED, "account": int(row)} for row in rows[:1000]))
    said = [len(booth.decide()) for _ in range(1000)]
    assert sum(said) / 100 == pytest.approx(5, rel=0.3)


# ---- disposition ----------------------------------------------------------------------------------------------------


def exits(**settings: Any) -> tuple[int, int]:
    """Exits of winners and of losers, as many of one as of the other, over a minute."""
    booth = seat_of("retail", accounts=2000, entry_time="1000h", exit_time="60s", stop_share=0, **settings)
    for index in range(2000):
        won = index % 2 == 0
        long = index % 4 < 2
        booth.give(index, 5 if long else -5, entry_ticks=PRICE - 300 if won == long else PRICE + 300)
    said = np.concatenate([booth.decide() for _ in range(MINUTE)])
    winners = (said["account"] - booth.participant.rows[0]) % 2 == 0
    return int(winners.sum()), int((~winners).sum())


def test_winners_are_closed_one_and_a_half_times_as_readily_as_losers() -> None:
    winners, losers = exits(disposition=1.5)
    assert winners / losers == pytest.approx(1.5, rel=0.12)
    assert np.sqrt(winners * losers) == pytest.approx(1000, rel=0.08), "the geometric mean is the usual hazard"


def test_without_disposition_winners_and_losers_are_closed_alike() -> None:
    winners, losers = exits()
    assert winners / losers == pytest.approx(1.0, rel=0.12)


# ---- leverage -------------------------------------------------------------------------------------------------------

CYCLE: dict[str, Any] = {
    "accounts": 500,
    "leverage": 20,
    "deposit": 1000,
    "entry_time": "20s",
    "leverage_response": 1,
    "leverage_window": "10min",
    "reference_volatility": 0.6,
}


def leverage_after(prices: NDArray[np.float64], **settings: Any) -> tuple[float, NDArray[Any]]:
    """Mean leverage set, and entries sent, in the minute after these one-minute prices."""
    booth = seat_of("retail", **CYCLE | settings, decision_interval="60s")
    step = MINUTE
    for price in prices.round().astype(int).tolist():
        booth.decide(bid=price - 2, ask=price + 2, mark_ticks=price)
        booth.step += step - 1
    booth.orders.drain_leverages()
    said = booth.decide()
    leverages = booth.orders.drain_leverages()
    return float(np.mean(np.concatenate([value for _, value in leverages]))), said


def walk(annual: float, minutes: int = 120) -> NDArray[np.float64]:
    """Prices whose every minute moves one standard deviation, up and down in turn; the next is the usual price."""
    sigma = annual * np.sqrt(60 / (365 * 86_400))
    return PRICE * np.exp(sigma * np.tile([1.0, 0.0], minutes // 2 + 1)[:-1])


def test_calm_raises_leverage_and_storm_lowers_it() -> None:
    calm, calm_orders = leverage_after(walk(0.4))
    storm, storm_orders = leverage_after(walk(1.2))
    assert calm == pytest.approx(20 * 0.6 / 0.4, rel=0.03)
    assert storm == pytest.approx(20 * 0.6 / 1.2, rel=0.03)
    assert calm_orders["quantity_lots"].mean() == pytest.approx(0.95 * 1000 * 30 / 100, rel=0.05)
    assert storm_orders["quantity_lots"].mean() == pytest.approx(0.95 * 1000 * 10 / 100, rel=0.05)


def test_leverage_stays_in_its_range_and_below_the_venues_maximum() -> None:
    assert leverage_after(walk(0.05))[0] == pytest.approx(40, rel=0.01)
    assert leverage_after(walk(6.0))[0] == pytest.approx(5, rel=0.01)
    assert leverage_after(walk(0.05), leverage=100)[0] == pytest.approx(125, rel=0.01)


def test_the_response_is_a_power() -> None:
    assert leverage_after(walk(1.2), leverage_response=0.5)[0] == pytest.approx(20 * 0.5**0.5, rel=0.03)


def test_without_response_nobody_sets_a_leverage() -> None:
    booth = seat_of("retail", **CYCLE | {"leverage_response": 0})
    said = [booth.decide() for _ in range(100)]
    assert sum(map(len, said)) > 0
    assert booth.orders.drain_leverages() == []


def test_an_own_liquidation_humbles_for_a_while() -> None:
    booth = seat_of(
        "retail", **CYCLE | {"leverage_response": 0, "humility": 0.5, "humility_time": "60s"}, reentry_time=0
    )
    rows = booth.participant.rows
    booth.tell(*({"kind": EventKind.LIQUIDATION_STARTED, "account": int(row)} for row in rows[:250]))
    index = np.arange(500)

    def wanted(now_s: int) -> NDArray[np.float64]:
        leverage: NDArray[np.float64] = booth.participant._targets.wanted(index, 0.6, now_s * 10**9)
        return leverage

    assert wanted(0)[:250] == pytest.approx(10, rel=1e-3)
    assert wanted(0)[250:] == pytest.approx(20, rel=1e-3)
    assert wanted(60)[:250] == pytest.approx(20 * (1 - 0.5 / np.e), rel=1e-3)
    said = np.concatenate([booth.decide() for _ in range(20)])
    humbled = said["account"] < rows[250]
    assert (said["quantity_lots"][humbled] < said["quantity_lots"][~humbled].min()).all()


def test_one_print_does_not_ruin_the_volatility_gauge() -> None:
    gauge = MinuteVolatility(0.6, 6 * 3600.0)
    gauge.sample(PRICE, 0)
    gauge.sample(2.0 * PRICE, 60 * 10**9)
    assert gauge.annual < 0.6 * np.sqrt(1 + 400 / 360) * 1.01
    assert gauge.daily == pytest.approx(gauge.annual / np.sqrt(365))


@pytest.mark.parametrize("bad", [(0, 2), (2, 1)])
def test_an_impossible_range_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must rise from above 0"):
        seat_of("retail", leverage_range=bad)


def test_orders_of_everybody_remain_market_orders_with_a_bound() -> None:
    booth = seat_of("retail", **EXCITED, trend_sensitivity=1, leverage_response=1, disposition=1.5)
    said = np.concatenate([booth.decide() for _ in range(50)])
    assert len(said) > 20
    assert (said["kind"] == OrderKind.MARKET).all()
    assert (said["price_ticks"] > 0).all()
