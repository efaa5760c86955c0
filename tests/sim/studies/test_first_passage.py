"""First-passage mode: margin calls of independent paths against the closed form, with the venue's own triggers."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from marginquake.sim.cli import main
from marginquake.sim.core.barriers import Cell
from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.margin import Bracket, default_brackets
from marginquake.sim.core.records import Side
from marginquake.sim.kernels import JIT
from marginquake.sim.market.streams import Streams
from marginquake.sim.rules.formulas import liquidation_price
from marginquake.sim.scenario.config import MarketConfig, VenueConfig
from marginquake.sim.studies.first_passage import (
    Question,
    Trigger,
    first_looks,
    mean_overshoot,
    simulate,
    to_csv,
    triggers,
)
from tests.oracles.naive_first_passage import naive_first_look, naive_path
from tests.support.paths import SCENARIOS

HOUR = 3600 * SECOND
each_side = pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
compiled = pytest.mark.skipif(not JIT, reason="a million looks in plain Python")

USUAL = Question(
    market=MarketConfig(name="main"),
    side=Side.BUY,
    leverages=(100, 50, 25, 20, 10, 5),
    horizons=(HOUR, 24 * HOUR, 168 * HOUR),
    notional=100e3,
    volatility=0.6,
    drift=0.0,
    monitor_period=SECOND,
    paths=20_000,
    seed=1,
)


@each_side
@pytest.mark.parametrize("looks", [1, 40, 64, 200])
def test_leaving_out_points_far_from_the_barrier_changes_no_first_look(side: Side, looks: int) -> None:
    question = replace(USUAL, side=side, horizons=(looks * SECOND,), paths=12)
    stream = Streams(7)["test"]
    deviation = 0.6 / math.sqrt(365 * 86_400)
    span = 1 << (looks - 1).bit_length()
    found_some = 0
    for distance in (1, 5, 40):
        trigger = Trigger(100.0, 100_000, 100_000 - side * distance, 1e5, 1e5 - side * distance)
        hits, overshoots = first_looks(question, trigger, stream)
        for path in range(question.paths):
            # Box-Muller of address (path, t), drawn one by one as the stream's public face gives them
            x = naive_path(
                lambda t, path=path: float(stream.normal(path, 1, t)[0]),
                deviation, -0.5 * deviation**2, looks, span,
            )  # fmt: skip
            first = naive_first_look(x, side, 100_000.0, trigger.trigger_ticks)
            assert hits[path] == first
            if first:
                barrier = math.log((trigger.trigger_ticks + 0.5 * side) / 100_000)
                assert overshoots[path] == pytest.approx(side * (barrier - x[first]), abs=1e-15)
                found_some += 1
    assert found_some > 0 or looks == 1


@each_side
def test_triggers_are_the_liquidation_prices_of_the_margin_rules(side: Side) -> None:
    table = default_brackets()
    caps, rates = [b.notional_cap for b in table], [b.maintenance for b in table]
    brackets = liquidation_price.notional_brackets([0.0, *caps[:-1]], caps, rates)
    for notional in (40e3, 100e3, 2e6):
        question = replace(USUAL, side=side, notional=notional, leverages=(75, 40, 10, 3))
        for trigger in triggers(question):
            quantity = notional / 1e5
            backing = notional * math.ceil(1e6 / trigger.leverage) / 1e6
            exact, _ = liquidation_price.bracketed_liquidation_price(side, quantity, 1e5, backing, brackets)
            assert -1e-6 <= side * (exact - trigger.trigger_ticks) < 1.0 + 1e-6


def test_a_change_of_brackets_moves_the_trigger() -> None:
    strict = VenueConfig(brackets=(Bracket(notional_cap=1e9, max_leverage=20, maintenance=0.02),))
    question = replace(USUAL, leverages=(20,), market=MarketConfig(name="main", venue=strict))
    ours, usual = triggers(question)[0], triggers(replace(USUAL, leverages=(20,)))[0]
    assert ours.liquidation_price == pytest.approx(1e5 * (1 - 0.05) / (1 - 0.02), abs=1)
    assert ours.liquidation_price > usual.liquidation_price


def test_a_long_without_leverage_is_never_called() -> None:
    cells = simulate(replace(USUAL, leverages=(1,), horizons=(HOUR,), paths=10))
    assert [(c.closed_form, c.simulated, c.is_checked) for c in cells] == [(0.0, 0.0, False)]
    assert math.isnan(cells[0].liquidation_price)
    assert math.isnan(mean_overshoot(cells))


@compiled
@each_side
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("period_s", [1, 3])
def test_simulated_calls_are_as_frequent_as_the_shifted_closed_form_says(side: Side, seed: int, period_s: int) -> None:
    cells = simulate(replace(USUAL, side=side, seed=seed, monitor_period=period_s * SECOND))
    checked = [cell for cell in cells if cell.is_checked]
    assert len(checked) >= 12
    off = [cell for cell in checked if not cell.agrees]
    assert not off


@compiled
def test_with_drift_and_other_volatility_too() -> None:
    for volatility, drift in ((0.3, 2.0), (1.2, -1.5)):
        cells = simulate(replace(USUAL, volatility=volatility, drift=drift, horizons=(24 * HOUR,), seed=3))
        assert all(cell.agrees for cell in cells)


@compiled
def test_without_the_shift_the_closed_form_is_seen_to_be_wrong() -> None:
    """At a minute between looks the shift is 4.8 bp: far more than the error of 60,000 paths."""
    question = replace(USUAL, leverages=(100,), horizons=(HOUR,), monitor_period=60 * SECOND, paths=60_000)
    (cell,) = simulate(question)
    assert cell.agrees
    assert abs(cell.simulated - cell.continuous) > 3 * cell.standard_error + 0.02


@compiled
def test_overshoot_is_that_of_broadie_glasserman_and_kou_and_grows_as_the_square_root_of_the_period() -> None:
    means = []
    for period_s in (1, 4, 16):
        question = replace(USUAL, leverages=(25,), horizons=(7 * 24 * HOUR,), monitor_period=period_s * SECOND)
        (cell,) = simulate(question)
        error = 0.6 * cell.expected_overshoot / math.sqrt(cell.simulated * cell.paths)
        assert abs(cell.overshoot - cell.expected_overshoot) < 4 * error + 0.005 * cell.expected_overshoot
        means.append(cell.overshoot)
    assert means[1] / means[0] == pytest.approx(2.0, rel=0.05)
    assert means[2] / means[0] == pytest.approx(4.0, rel=0.05)


@compiled
def test_a_leverage_more_moves_no_other_and_a_seed_repeats_itself() -> None:
    few = replace(USUAL, paths=500, horizons=(24 * HOUR,))
    alone, together = simulate(replace(few, leverages=(25,))), simulate(few)
    assert repr(alone[0]) == repr(together[2])
    assert repr(simulate(few)) == repr(together)  # nan is not equal to itself
    assert repr(simulate(replace(few, seed=2))) != repr(together)


@compiled
def test_more_paths_leave_the_first_ones_as_they_were() -> None:
    question = replace(USUAL, leverages=(50,), horizons=(24 * HOUR,), paths=5000)
    (trigger,) = triggers(question)
    many, _ = first_looks(question, trigger, Streams(1)["test"])
    few, _ = first_looks(replace(question, paths=100), trigger, Streams(1)["test"])
    assert np.array_equal(many[:100], few)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leverages": (126,)}, "leverage 126: a position of 100000 may have 1 to 100 by the venue's brackets"),
        ({"leverages": (0.5,)}, "leverage 0.5: a position of 100000 may have 1 to 100"),
        ({"notional": 1.0}, "notional 1: is 0 lots"),
    ],
)
def test_positions_that_the_venue_would_refuse_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        triggers(replace(USUAL, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leverages": (20.0, 5.0, 20.0)}, "leverage 20: is asked for twice"),
        ({"horizons": (60 * SECOND, 60 * SECOND)}, "horizon 60 s: is asked for twice"),
    ],
)
def test_a_leverage_or_a_horizon_is_asked_for_once(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(USUAL, **change)  # type: ignore[arg-type]


def test_horizons_are_whole_monitoring_periods() -> None:
    with pytest.raises(ValueError, match=r"horizon 2.5 s: must be a whole number of monitoring periods of 1 s"):
        replace(USUAL, horizons=(5 * SECOND // 2,))


def test_the_table_as_csv_holds_every_cell() -> None:
    cell = Cell(50.0, 3600.0, 98_442.0, 0.0156, 0.0145, 0.0141, 0.0144, 20_000, 5.7e-5, 6.2e-5)
    rows = list(csv.DictReader(to_csv([cell]).splitlines()))
    assert len(rows) == 1
    assert float(rows[0]["simulated"]) == cell.simulated
    assert float(rows[0]["error_se"]) == pytest.approx(cell.error, rel=1e-3)


def test_the_command_prints_writes_and_draws(tmp_path: Path) -> None:
    table, picture = tmp_path / "calls.csv", tmp_path / "calls.png"
    asked = ["--leverage", "100,50", "--horizon", "1min,2min", "--paths", "20", "--volatility", "300%"]
    done = CliRunner().invoke(
        main.app, ["first-passage", *asked, "--csv", str(table), "--figure", str(picture)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert "100x" in done.output
    assert "cells with a closed form between 0.001 and 0.999" in done.output
    assert len(table.read_text().splitlines()) == 5
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_command_takes_market_and_monitoring_from_a_scenario() -> None:
    scenario = SCENARIOS / "long_squeeze.yaml"
    asked = [str(scenario), "--leverage", "100", "--horizon", "1min", "--paths", "2"]
    usual = CliRunner().invoke(main.app, ["first-passage", *asked])
    assert "long, 0.45 a year, looked at every 1s" in usual.output
    other = CliRunner().invoke(main.app, ["first-passage", *asked, "--set", "liquidation.monitor_period=3s"])
    assert "looked at every 3s" in other.output


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--side", "up"], "--side up: say 'long' or 'short'"),
        (["--horizon", "5"], "--horizon 5: a duration needs a unit"),
        (["--leverage", "ten"], "--leverage ten: write numbers, such as 20 or 20x"),
        (["--leverage", "0"], "--leverage 0: leverage is at least 1"),
        (["--leverage", "126"], "leverage 126: a position of 100000 may have 1 to 100"),
        (["--set", "seed=1"], "--set, --market: belong to a scenario"),
        (["--csv", "/no/such/folder/x.csv"], "no folder"),
    ],
)
def test_a_mistake_is_one_message(asked: list[str], message: str) -> None:
    done = CliRunner().invoke(main.app, ["first-passage", *asked])
    assert done.exit_code == 2
    assert message in done.output
