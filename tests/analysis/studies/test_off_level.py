"""An axis with the point 'off' among its numbers: every figure and the report name it and none stumbles over it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from marginquake.analysis.studies.sweeps import SWEEP_FIGURES, load_sweep, plot_sweep, swings, write_sweep_report
from marginquake.analysis.studies.sweeps.captions import event_words
from marginquake.analysis.studies.sweeps.figures import reasons
from marginquake.analysis.studies.sweeps.points import point_names
from tests.support.synthetic_sweep import LEVERAGE, axis, grid, summary, write_sweep

BAND = axis("band", "price band")
METRIC = "max_drawdown_fraction"


def outcome(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Off is the deepest; without it the band caps the fall."""
    band = values.get("band")
    fall = 0.10 if band is None else float(band)
    return summary(fall + seed / 10_000 + float(values.get("leverage", 0.0)) / 1000, band is None)


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "alone", [BAND], grid({"band": [None, 0.01, 0.05]}), outcome)


@pytest.fixture
def crossed(tmp_path: Path) -> Path:
    levels = {"leverage": [10.0, 20.0, 30.0], "band": [None, 0.01, 0.05]}
    return write_sweep(tmp_path / "crossed", [LEVERAGE, BAND], grid(levels), outcome)


def test_off_stands_among_the_levels_in_the_order_of_the_design(alone: Path, crossed: Path) -> None:
    for path in (alone, crossed):
        sweep = load_sweep(path)
        band = next(each for each in sweep.axes if each.name == "band")
        assert sweep.levels(band) == ["off", "0.01", "0.05"]
        assert band not in sweep.numeric_axes
        assert len(sweep.rows({"band": "off"})) == len(sweep) // 3
        assert set(sweep.column(band).tolist()) == {"off", "0.01", "0.05"}
        assert "axis_band" not in sweep.metrics


def test_numbers_beside_off_are_written_short_and_stay_apart(tmp_path: Path) -> None:
    levels = [None, 5e6, 5_000_001.0, 1e-5]
    sweep = load_sweep(write_sweep(tmp_path / "s", [BAND], grid({"band": levels}), outcome))
    assert sweep.levels(sweep.axes[0]) == ["off", "5M", "5.000001M", "1e-05"]


def test_every_figure_that_applies_is_drawn(alone: Path, crossed: Path) -> None:
    drawn = {path.stem for path in plot_sweep(alone)}
    assert drawn == {"points"}
    drawn = {path.stem for path in plot_sweep(crossed)}
    assert drawn == {"fan", "tornado"}
    for path in (alone, crossed):
        refused = reasons(load_sweep(path), METRIC)
        assert "phase" in refused
        assert set(SWEEP_FIGURES) == set(refused) | {each.stem for each in (path / "figures").iterdir()}


def test_rows_of_points_and_the_tornado_name_it(alone: Path, crossed: Path) -> None:
    assert list(point_names(load_sweep(alone)).values()) == ["off", "0.01", "0.05"]
    band = next(swing for swing in swings(load_sweep(crossed), METRIC) if swing.axis.name == "band")
    assert (band.low, band.high) == ("off", "0.05")
    assert band.change.value == pytest.approx(-0.05)


def test_the_report_names_it(crossed: Path) -> None:
    page = write_sweep_report(crossed).read_text(encoding="utf-8")
    assert re.search(r"<td>off; 0\.01; 0\.05</td>", page)
    assert page.count("<td>off</td>") == 3


def test_with_two_levels_one_of_them_off_the_tornado_goes_between_them(tmp_path: Path) -> None:
    levels = {"leverage": [10.0, 20.0], "band": [None, 0.01]}
    sweep = load_sweep(write_sweep(tmp_path / "s", [LEVERAGE, BAND], grid(levels), outcome, design="list"))
    assert {(swing.low, swing.high) for swing in swings(sweep, METRIC)} == {("10", "20"), ("off", "0.01")}


def test_truth_values_are_levels_by_name(tmp_path: Path) -> None:
    sweep = load_sweep(write_sweep(tmp_path / "s", [BAND], grid({"band": [True, False]}), outcome))
    assert sweep.levels(sweep.axes[0]) == ["true", "false"]


def test_an_event_below_a_threshold_is_said_so(alone: Path) -> None:
    plan = json.loads((alone / "sweep.json").read_text())
    (alone / "sweep.json").write_text(json.dumps(plan | {"event": {"metric": METRIC, "below": 0.05}}))
    sweep = load_sweep(alone)
    assert event_words(sweep) == "largest fall of the last price < 5 %"
    assert (sweep.event.above, sweep.event.below) == (None, 0.05)
    assert pq.read_table(alone / "results.parquet").column("axis_band").null_count == 10
