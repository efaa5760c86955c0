"""Facts about fundamentals, their displacement by hedging, and the spot desk."""

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from marginquake.sim.assets.fundamentals import (
    YEAR_SECONDS,
    Fundamental,
    FundamentalContext,
    GbmConfig,
    GeometricBrownian,
    JumpConfig,
    Replay,
    ShockConfig,
    Shocked,
    StochasticVolatilityConfig,
)
from marginquake.sim.assets.index import FeedbackConfig, Index, IndexConfig, build_fundamental
from marginquake.sim.assets.price_path import ReplayConfig, load_price_path
from marginquake.sim.assets.spot import SpotHoldings
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.fields import SECOND
from marginquake.sim.market.streams import Streams
from tests.support.still_market import Flat

CONTRACT = ContractSpec("BTC", Decimal(1), Decimal("0.001"), Decimal(1), Decimal("0.000001"), 200_000, 50_000_000)
D1 = 10e6


def context(step_ns: int = SECOND, seed: int = 0, folder: Path = Path(), name: str = "index") -> FundamentalContext:
    return FundamentalContext(CONTRACT, 100_000.0, step_ns, Streams(seed)[name], folder)


def log_returns(fundamental: Fundamental, steps: int, step_ns: int) -> NDArray[np.float64]:
    path = [fundamental.advance(step * step_ns) for step in range(steps + 1)]
    return np.diff(np.log(path))


# --- geometric Brownian motion


def test_gbm_starts_at_the_initial_price_and_repeats_itself() -> None:
    one, two, other = (GeometricBrownian(GbmConfig(), context(seed=s)) for s in (0, 0, 1))
    paths = [[g.advance(t * SECOND) for t in range(50)] for g in (one, two, other)]
    assert paths[0][0] == 100_000.0
    assert paths[0] == paths[1]
    assert paths[0] != paths[2]


@pytest.mark.parametrize("step_ns", [SECOND // 10, 60 * SECOND])
def test_gbm_has_its_volatility_at_any_step(step_ns: int) -> None:
    returns = log_returns(GeometricBrownian(GbmConfig(volatility=0.6), context(step_ns)), 20_000, step_ns)
    annual = returns.std() * math.sqrt(YEAR_SECONDS * SECOND / step_ns)
    assert annual == pytest.approx(0.6, rel=4 / math.sqrt(2 * 20_000))


def test_zero_volatility_is_pure_drift() -> None:
    fundamental = GeometricBrownian(GbmConfig(volatility=0.0, drift=0.5), context())
    fundamental.advance(-10 * SECOND)
    assert fundamental.advance((YEAR_SECONDS - 10) * SECOND) == pytest.approx(100_000 * math.exp(0.5))


def test_stochastic_volatility_of_no_deviation_is_the_control() -> None:
    memory = StochasticVolatilityConfig(deviation=0.0)
    control = log_returns(GeometricBrownian(GbmConfig(), context()), 500, SECOND)
    off = log_returns(GeometricBrownian(GbmConfig(stochastic_volatility=memory), context()), 500, SECOND)
    assert (control == off).all()


def test_stochastic_volatility_keeps_the_mean_variance_and_clusters() -> None:
    memory = StochasticVolatilityConfig(deviation=0.4, time_scale=100 * SECOND)
    config = GbmConfig(volatility=0.6, stochastic_volatility=memory)
    returns = log_returns(GeometricBrownian(config, context(10 * SECOND)), 30_000, 10 * SECOND)
    variance = returns.var() * YEAR_SECONDS / 10
    assert variance == pytest.approx(0.36, rel=0.08)
    size = np.abs(returns)
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.05
    assert (returns**4).mean() / returns.var() ** 2 > 3.3


def test_jumps_come_at_their_rate_and_keep_the_drift() -> None:
    config = GbmConfig(volatility=0.0, jumps=JumpConfig(per_day=4800.0, mean=-0.001, deviation=0.0005))
    fundamental = GeometricBrownian(config, context())
    returns = log_returns(fundamental, 20_000, SECOND)
    expected = 4800 / 86_400 * 20_000
    assert fundamental.jump_count == pytest.approx(expected, abs=4 * math.sqrt(expected))
    jumped = int((np.abs(returns - np.median(returns)) > 1e-9).sum())
    assert 0.9 * fundamental.jump_count < jumped <= fundamental.jump_count
    spread = math.sqrt(expected) * math.hypot(0.001, 0.0005)
    assert returns.sum() == pytest.approx(0.0, abs=4 * spread)


def test_jumps_do_not_shift_the_diffusion_draws() -> None:
    control = log_returns(GeometricBrownian(GbmConfig(), context()), 200, SECOND)
    jumps = JumpConfig(per_day=0.001, deviation=0.01)
    with_jumps = log_returns(GeometricBrownian(GbmConfig(jumps=jumps), context()), 200, SECOND)
    assert with_jumps == pytest.approx(control, abs=1e-9)


# --- replay


def write_path(folder: Path, rows: list[tuple[str, float]]) -> None:
    text = "time,price\n" + "".join(f"{time},{price}\n" for time, price in rows)
    (folder / "path.csv").write_text(text, encoding="utf-8")


POINTS = [("0", 50_000.0), ("20", 50_500.0), ("40", 48_000.0), ("100", 49_000.0)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_path(tmp_path, POINTS)
    return tmp_path


def replay(folder: Path, **options: object) -> Replay:
    config = ReplayConfig.model_validate({"type": "replay", "file": "path.csv"} | options)
    return Replay(config, context(folder=folder))


def test_replay_meets_every_point_exactly(folder: Path) -> None:
    path = replay(folder)
    found = [path.advance(int(time) * SECOND) for time, _ in POINTS]
    assert found == pytest.approx([2 * price for _, price in POINTS], rel=1e-14)
    assert path.duration_ns == 100 * SECOND


def test_replay_without_rescaling_gives_the_recorded_price(folder: Path) -> None:
    assert replay(folder, rescale=False).advance(20 * SECOND) == pytest.approx(50_500.0, rel=1e-14)


def test_a_bridge_of_no_volatility_is_linear_in_log_price(folder: Path) -> None:
    path = replay(folder, bridge_volatility=0.0)
    assert path.advance(50 * SECOND) == pytest.approx(96_000 * (49_000 / 48_000) ** (1 / 6), rel=1e-14)
    assert path.advance(-5 * SECOND) == pytest.approx(100_000.0)
    assert path.advance(500 * SECOND) == pytest.approx(98_000.0)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-2_000_000, 3_000_000), min_size=1, max_size=6))
def test_the_replayed_price_depends_on_the_time_only(tmp_path_factory: pytest.TempPathFactory, ms: list[int]) -> None:
    folder = tmp_path_factory.getbasetemp()
    write_path(folder, POINTS)
    times = sorted(moment * 100_000 for moment in ms)
    shared = replay(folder)
    assert [shared.advance(t) for t in times] == [replay(folder).advance(t) for t in times]


def test_the_bridge_has_its_volatility(tmp_path: Path) -> None:
    write_path(tmp_path, [(str(20 * k), 100.0) for k in range(400)])
    config = ReplayConfig(file="path.csv", bridge_volatility=0.6)
    path = Replay(config, context(folder=tmp_path))
    logs = np.log([path.advance(t * SECOND) for t in range(20 * 399)])
    annual = np.diff(logs).std() * math.sqrt(YEAR_SECONDS * 20 / 19)
    assert annual == pytest.approx(0.6, rel=0.05)
    middle = logs[10::20] - math.log(100_000)
    assert middle.std() == pytest.approx(0.6 * math.sqrt(20 / 4 / YEAR_SECONDS), rel=0.15)


def test_before_and_after_the_recording_the_price_stays_near_its_end(folder: Path) -> None:
    path = replay(folder)
    before = np.log([path.advance(t * SECOND) / 100_000 for t in range(-3600, 0, 7)])
    assert 0 < np.abs(before).max() < 0.02
    assert path.advance(0) == pytest.approx(100_000, rel=1e-14)
    assert abs(math.log(path.advance(700 * SECOND) / 98_000)) < 0.02


def test_replay_reads_iso_times_and_starts_where_told(tmp_path: Path) -> None:
    stamps = ["2024-08-05T00:36:00Z", "2024-08-05 00:36:20", "2024-08-05T02:37:00+02:00"]
    write_path(tmp_path, list(zip(stamps, [100.0, 121.0, 110.0], strict=True)))
    path = load_price_path(ReplayConfig(file="path.csv"), tmp_path)
    assert path.times_ns == (0, 20 * SECOND, 60 * SECOND)
    later = load_price_path(ReplayConfig(file="path.csv", start="2024-08-05T00:36:10Z"), tmp_path)
    assert later.times_ns == (0, 10 * SECOND, 50 * SECOND)
    assert later.prices == pytest.approx((110.0, 121.0, 110.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,close\n0,1\n", r"path.csv:1: no column 'price'"),
        ("time,price\n0,1\nsoon,2\n", r"path.csv:3: time 'soon' is neither"),
        ("time,price\n0,1\n1,-2\n", r"path.csv:3: price '-2' must be positive"),
        ("time,price\n0,1\n0,2\n", r"path.csv:3: times must rise"),
        ("time,price\n0,1\n", r"at least two points"),
    ],
)
def test_a_bad_recording_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "path.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_price_path(ReplayConfig(file="path.csv"), tmp_path)


def test_a_start_outside_the_recording_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="outside the recorded times"):
        load_price_path(ReplayConfig(file="path.csv", start="500"), folder)


# --- shocks


def test_a_shock_is_spread_evenly_and_stays() -> None:
    shocks = (
        ShockConfig(at=10 * SECOND, log_return=-0.04, over=4 * SECOND),
        ShockConfig(at=0, log_return=0.01, over=1),
    )
    path = Shocked(Flat(), shocks)
    logs = [math.log(path.advance(t * SECOND) / 100_000) for t in (-1, 5, 11, 12, 14, 100)]
    assert logs == pytest.approx([0.0, 0.01, 0.0, -0.01, -0.03, -0.03], abs=1e-12)


def test_a_shock_leaves_the_rest_of_the_path_alone() -> None:
    config = IndexConfig(shocks=(ShockConfig(at=20 * SECOND, log_return=-0.02, over=SECOND),))
    shocked, plain = build_fundamental(config, context()), build_fundamental(IndexConfig(), context())
    ratio = [shocked.advance(t * SECOND) / plain.advance(t * SECOND) for t in range(60)]
    assert ratio[:20] == [1.0] * 20
    assert ratio[21:] == pytest.approx([math.exp(-0.02)] * 39, rel=1e-12)


# --- feedback


def test_one_unit_of_spot_depth_moves_the_index_one_percent() -> None:
    index = Index(Flat(), FeedbackConfig(one_percent_depth_d1=1.05), D1)
    index.advance(0, SECOND)
    index.push(-1.05 * D1)
    assert index.one_percent_depth == 1.05 * D1
    assert index.displacement == pytest.approx(-0.01)
    assert index.index_ticks == pytest.approx(100_000 * math.exp(-0.01))
    assert index.fundamental_ticks == 100_000


def test_displacement_decays_on_every_time_scale() -> None:
    config = FeedbackConfig(one_percent_depth_d1=1.0, decay=(10 * SECOND, 100 * SECOND), weights=(0.6, 0.4))
    index = Index(Flat(), config, D1)
    index.advance(0, SECOND)
    index.push(D1)
    for second in range(1, 31):
        index.advance(second * SECOND, SECOND)
    assert index.displacement == pytest.approx(0.006 * math.exp(-3.0) + 0.004 * math.exp(-0.3))


def test_without_feedback_the_index_is_the_fundamental() -> None:
    index = Index(GeometricBrownian(GbmConfig(), context()), FeedbackConfig(enabled=False), D1)
    alone = GeometricBrownian(GbmConfig(), context())
    for second in range(20):
        assert index.advance(second * SECOND, SECOND) == alone.advance(second * SECOND)
        index.push(1e9)
    assert index.displacement == 0.0


def test_weights_and_decay_times_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="3 decay times but 2 weights"):
        Index(Flat(), FeedbackConfig(weights=(0.5, 0.5)), D1)


# --- spot


def spot(enabled: bool = True) -> tuple[Index, SpotHoldings]:
    index = Index(Flat(), FeedbackConfig(enabled=enabled, one_percent_depth_d1=1.0), D1)
    index.advance(0, SECOND)
    return index, SpotHoldings(10, index, CONTRACT)


def test_spot_trades_at_the_index_when_it_does_not_listen() -> None:
    index, desk = spot(enabled=False)
    rows = np.array([4, 5])
    desk.trade(rows, np.array([100.0, -20.5]))
    assert desk.position_lots(rows).tolist() == [100.0, -20.5]
    assert desk.profit(rows) == pytest.approx([0.0, 0.0], abs=1e-9)
    assert index.index_ticks == 100_000


def test_a_spot_purchase_pays_half_of_its_own_impact() -> None:
    index, desk = spot()
    lots = D1 / CONTRACT.notional_per_lot(100_000)
    desk.trade(np.array([4]), np.array([lots]))
    after = index.index_ticks
    assert after == pytest.approx(100_000 * math.exp(0.01))
    paid = lots * CONTRACT.notional_per_lot(0.5 * (100_000 + after))
    assert desk.profit(np.array([4]))[0] == pytest.approx(lots * CONTRACT.notional_per_lot(after) - paid)


def test_a_round_trip_on_spot_earns_nothing_before_decay() -> None:
    _, desk = spot()
    row = np.array([4])
    for lots in (5000.0, 2000.0, -7000.0):
        desk.trade(row, np.array([lots]))
    assert desk.position_lots(row)[0] == 0.0
    assert abs(desk.profit(row)[0]) < 0.01 * 0.007 * 7000 * CONTRACT.notional_per_lot(100_000)


def test_opposite_hedges_in_one_call_cancel() -> None:
    index, desk = spot()
    desk.trade(np.array([4, 5, 4]), np.array([10.0, -30.0, 20.0]))
    assert index.displacement == 0.0
    assert desk.position_lots(np.array([4, 5])).tolist() == [30.0, -30.0]
    desk.trade(np.empty(0, np.int64), np.empty(0))
