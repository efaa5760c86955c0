"""Analysis of sweeps: shares, medians and contours where they must be, every figure drawn, a report on its own."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from marginquake.analysis.facts import MissingExtra
from marginquake.analysis.measures.summary_metrics import metric_of
from marginquake.analysis.statistics.regression import fit_surface
from marginquake.analysis.studies.sweeps import (
    SWEEP_FIGURES,
    bootstrap,
    by_point,
    load_sweep,
    paired_differences,
    plot_sweep,
    sobol_indices,
    swings,
    wilson,
    write_sweep_report,
)
from marginquake.analysis.studies.sweeps.axis_layout import cells, scaled
from marginquake.analysis.studies.sweeps.captions import event_words, runs_words, value_texts
from marginquake.analysis.studies.sweeps.fan import quantiles, spread_over
from marginquake.analysis.studies.sweeps.figures import reasons
from marginquake.analysis.studies.sweeps.phase_frame import MEDIAN_ANCHORS, half_contour, phase_table
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.sweep_plan import Axis
from tests.support.synthetic_sweep import DEPTH, LEVERAGE, axis, grid, summary, tipping, write_sweep

LEVELS = {"leverage": [10.0, 20.0, 30.0], "depth": [1e6, 1e7]}
SEEDS = tuple(range(1, 11))


def stepped(values: Any, seed: int) -> dict[str, Any]:
    """A fall of leverage per mille plus a seed's own part; seeds up to 10 x (leverage / 30) cascade."""
    return summary(values["leverage"] / 1000 + seed / 10_000, seed <= values["leverage"] / 3)


def ishigami(values: Any, seed: int) -> dict[str, Any]:
    """Ishigami and Homma 1990 with a = 7, b = 0.1; seeds scatter about it and their mean is exact."""
    x1, x2, x3 = (float(values[f"x{k}"]) for k in (1, 2, 3))
    value = math.sin(x1) + 7 * math.sin(x2) ** 2 + 0.1 * x3**4 * math.sin(x1)
    return summary(value + (seed - 2), False)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "sweep", [LEVERAGE, DEPTH], grid(LEVELS), stepped)


def saltelli(path: Path, blocks: int, **options: Any) -> Path:
    sampler = pytest.importorskip("SALib.sample.sobol")
    names = ["x1", "x2", "x3"]
    problem = {"num_vars": 3, "names": names, "bounds": [[-math.pi, math.pi]] * 3}
    places = sampler.sample(problem, blocks, calc_second_order=False, seed=7)
    axes = [axis(name, low=-math.pi, high=math.pi) for name in names]
    points = [dict(zip(names, map(float, row), strict=True)) for row in places]
    return write_sweep(path, axes, points, ishigami, seeds=(1, 2, 3), design="saltelli", **options)


@pytest.mark.parametrize(
    ("events", "runs", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (5, 10, 0.237, 0.763), (1, 1, 0.207, 1.0)],
)
def test_wilson_interval_equals_published_values(events: int, runs: int, low: float, high: float) -> None:
    found = wilson(events, runs)
    assert found.value == events / runs
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)


def test_a_share_of_no_runs_does_not_exist() -> None:
    assert all(map(math.isnan, wilson(0, 0)))


def test_bootstrap_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    draws = np.random.default_rng(3).normal(5.0, 2.0, 400)
    found = bootstrap(draws, "mean")
    assert found.value == pytest.approx(draws.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * draws.std() / 20, rel=0.1)
    assert bootstrap(draws, "mean") == found


def test_bootstrap_of_a_median_leaves_nans_out_and_asks_for_five_values() -> None:
    assert bootstrap([1.0, math.nan, 3.0, 2.0]).value == 2.0
    four = bootstrap([1.0, 2.0, 3.0, 4.0])
    assert four.value == 2.5
    assert math.isnan(four.low)
    assert math.isfinite(bootstrap([1.0, 2.0, 3.0, 4.0, 5.0]).low)
    assert math.isnan(bootstrap([math.nan]).value)


def test_differences_are_paired_by_seed() -> None:
    seeds, differences = paired_differences(
        np.array([1, 2, 3, 4]),
        np.array([1.0, 2.0, 3.0, np.nan]),
        np.array([4, 3, 2, 9]),
        np.array([0.0, 5.0, 2.5, 1.0]),
    )
    assert seeds.tolist() == [2, 3]
    assert differences.tolist() == [0.5, 2.0]
    with pytest.raises(ValueError, match="given twice"):
        paired_differences(np.array([1, 1]), np.zeros(2), np.array([1]), np.zeros(1))


def test_points_have_the_share_and_median_of_their_seeds(sweep: Path) -> None:
    data = load_sweep(sweep)
    outcomes = by_point(data)
    assert [one.runs for one in outcomes.values()] == [10] * 6
    assert [one.events for one in outcomes.values()] == [3, 3, 6, 6, 10, 10]
    assert outcomes[4].share == 1.0
    assert outcomes[2].median == pytest.approx(0.020 + 5.5 / 10_000)
    assert data.question == "At which leverage does a fall feed itself?"
    assert data.scenario == "long_squeeze"
    assert data.planned == len(data) == 60


def test_a_plan_that_names_no_scenario_has_those_of_its_runs(sweep: Path) -> None:
    content = json.loads((sweep / "sweep.json").read_text())
    del content["scenario"]
    (sweep / "sweep.json").write_text(json.dumps(content))
    assert load_sweep(sweep).scenario == "long_squeeze"


def test_rows_of_the_table_carry_the_values_of_their_point(sweep: Path) -> None:
    data = load_sweep(sweep)
    assert np.array_equal(data.column(data.axes[0]), data.table["axis_leverage"])
    assert data.rows({"depth": 1e6, "leverage": 20.0}).tolist() == list(range(20, 30))
    assert len(data.rows({"depth": 1e7})) == 30


def test_words_and_truths_are_values_of_an_axis_too(tmp_path: Path) -> None:
    points = [{"band": True, "rule": "last"}, {"band": False, "rule": "median"}]
    path = write_sweep(
        tmp_path / "s", [axis("band"), axis("rule")], points, lambda v, s: summary(0.1, False), design="list"
    )
    data = load_sweep(path)
    assert data.numeric_axes == ()
    assert data.levels(data.axes[0]) == ["true", "false"]
    assert data.levels(data.axes[1]) == ["last", "median"]


def test_nulls_of_a_summary_are_no_numbers(tmp_path: Path) -> None:
    def outcome(values: Any, seed: int) -> dict[str, Any]:
        return {
            **summary(0.1, False),
            "fuel": None if seed == 1 else 0.5,
            "count": None if seed == 2 else 7,
            "off": None,
        }

    data = load_sweep(write_sweep(tmp_path / "s", [LEVERAGE], [{"leverage": 1.0}], outcome, seeds=(1, 2, 3)))
    assert np.isnan(data.metric("fuel")).tolist() == [True, False, False]
    assert np.isnan(data.metric("count")).tolist() == [False, True, False]
    assert by_point(data, "off")[0].runs == 3
    assert math.isnan(by_point(data, "off")[0].median)


def test_a_path_that_is_no_sweep_gives_one_message(tmp_path: Path, sweep: Path) -> None:
    with pytest.raises(RunDirectoryError, match="no such sweep"):
        load_sweep(tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError, match=r"sweep\.json missing"):
        load_sweep(tmp_path)
    (sweep / "results.parquet").rename(sweep / "elsewhere")
    with pytest.raises(RunDirectoryError, match="--resume"):
        load_sweep(sweep)
    (sweep / "results.parquet").write_bytes(b"rubbish")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        load_sweep(sweep)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": [{"point": 0, "values": {"leverage": 1, "depth": 1}}]}, "different sweeps"),
        ({"axes": [{"name": "leverage"}, {"name": "depht"}]}, "depht"),
        ({"schema_version": 99}, "newer"),
        ({"axes": "leverage"}, "cannot be read"),
    ],
)
def test_a_damaged_sweep_gives_one_message(sweep: Path, change: dict[str, Any], message: str) -> None:
    content = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(RunDirectoryError, match=message):
        load_sweep(sweep)


def test_a_log_axis_without_positive_values_is_refused(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path / "s", [axis("depth", scale="log")], [{"depth": 0.0}, {"depth": 1.0}], lambda v, s: summary(0, False)
    )
    with pytest.raises(RunDirectoryError, match="log"):
        load_sweep(path)


def test_a_sweep_without_a_finished_run_says_why(tmp_path: Path) -> None:
    failures = [{"point": 0, "seed": 1, "error": "OverflowError: too deep"}]
    path = write_sweep(
        tmp_path / "s", [LEVERAGE], [{"leverage": 1.0}], tipping, without=lambda point, seed: True, failures=failures
    )
    with pytest.raises(RunDirectoryError, match=r"1 failed; point 0 seed 1: OverflowError"):
        load_sweep(path)
    pq.write_table(pa.table({}), path / "results.parquet")
    with pytest.raises(RunDirectoryError, match="no finished run"):
        load_sweep(path)


def test_a_table_without_what_says_which_run_it_was_is_refused(sweep: Path) -> None:
    pq.write_table(pq.read_table(sweep / "results.parquet").drop_columns("seed"), sweep / "results.parquet")
    with pytest.raises(RunDirectoryError, match="no column seed"):
        load_sweep(sweep)


def test_a_run_that_stands_twice_in_the_table_is_refused(sweep: Path) -> None:
    table = pq.read_table(sweep / "results.parquet")
    pq.write_table(pa.concat_tables([table, table.slice(3, 1)]), sweep / "results.parquet")
    with pytest.raises(RunDirectoryError, match="twice"):
        load_sweep(sweep)


def test_an_unknown_metric_or_figure_names_those_there_are(sweep: Path) -> None:
    with pytest.raises(RunDirectoryError, match="max_drawdown_fraction"):
        plot_sweep(sweep, metric="drawdwn")
    with pytest.raises(RunDirectoryError, match="phase"):
        plot_sweep(sweep, figure="fase")
    with pytest.raises(RunDirectoryError, match="saltelli"):
        plot_sweep(sweep, figure="sensitivity")


def test_phase_table_pools_seeds_and_leaves_empty_cells_empty(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", [LEVERAGE, DEPTH], grid(LEVELS), stepped, without=lambda point, seed: point == 3)
    data = load_sweep(path)
    table = phase_table(data, data.axes[0], data.axes[1], "max_drawdown_fraction")
    assert table.runs.tolist() == [[10, 10, 10], [10, 0, 10]]
    assert table.share[0].tolist() == [0.3, 0.6, 1.0]
    assert math.isnan(table.share[1, 1])
    assert table.median[0, 2] == pytest.approx(0.03055)


def test_the_half_line_lies_where_the_share_is_one_half() -> None:
    x, y = np.array([10.0, 20.0, 30.0]), np.array([6.0, 7.0])
    (line,) = half_contour(x, y, np.array([[0.0, 0.4, 0.8], [0.0, 0.2, 0.7]]))
    places = {round(float(up), 6): float(across) for across, up in line}
    assert places[6.0] == pytest.approx(22.5)
    assert places[7.0] == pytest.approx(26.0)


def test_there_is_no_half_line_where_the_event_is_always_rare_or_the_grid_has_one_row() -> None:
    x, y = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    assert half_contour(x, y, np.array([[0.0, 0.1], [0.2, 0.4]])) == []
    assert half_contour(x, y, np.array([[0.9, 1.0], [0.6, 0.7]])) == []
    assert half_contour(x, y[:1], np.array([[0.0, 1.0]])) == []
    assert half_contour(x, y, np.full((2, 2), np.nan)) == []


def test_cells_follow_the_scale_of_their_axis_unless_that_makes_slivers() -> None:
    log = Axis("depth", "depth", "log")
    across = cells(log, [1e6, 1e7, 1e8])
    assert across.positions.tolist() == [6.0, 7.0, 8.0]
    assert across.edges.tolist() == [5.5, 6.5, 7.5, 8.5]
    uneven = cells(Axis("depth", "depth"), [1.0, 2.0, 100.0])
    assert not uneven.to_scale
    assert np.diff(uneven.edges).tolist() == [1.0, 1.0, 1.0]
    assert cells(log, [1e6]).edges.tolist() == [5.5, 6.5]
    assert scaled(log, np.array([100.0])).tolist() == [2.0]


def test_smoothing_finds_the_line_that_the_events_were_drawn_from() -> None:
    rng = np.random.default_rng(11)
    x, y = rng.uniform(0, 10, 300), rng.uniform(-1, 1, 300)
    chance = 1 / (1 + np.exp(-2.0 * (x - 5.0 - 2.0 * y)))
    surface = fit_surface(x, y, rng.binomial(20, chance).astype(float), np.full(300, 20.0))
    for up in (-0.5, 0.0, 0.5):
        assert surface.at(np.array([5.0 + 2.0 * up]), np.array([up]))[0] == pytest.approx(0.5, abs=0.05)
    assert np.abs(surface.at(x, y) - chance).max() < 0.12


@pytest.mark.parametrize("events", [0.0, 4.0])
def test_smoothing_stays_finite_where_all_runs_agree(events: float) -> None:
    x = np.arange(10.0)
    surface = fit_surface(x, x**2, np.full(10, events), np.full(10, 4.0))
    assert np.abs(surface.at(x, x**2) - events / 4.0).max() < 0.1


def test_smoothing_stays_finite_where_the_event_separates() -> None:
    x, y = np.linspace(0, 1, 40), np.tile([0.0, 1.0], 20)
    surface = fit_surface(x, y, np.where(x > 0.5, 5.0, 0.0), np.full(40, 5.0))
    assert surface.at(np.array([0.1, 0.5, 0.9]), np.array([0.5, 0.5, 0.5])) == pytest.approx([0, 0.5, 1], abs=0.1)


def test_a_fan_has_the_quantiles_of_its_seeds() -> None:
    assert quantiles(np.arange(101.0)).tolist() == [5.0, 25.0, 50.0, 75.0, 95.0]
    assert np.isnan(quantiles(np.zeros(0))).all()
    assert spread_over([1.0, 2.0]) == [1.0, 2.0]
    assert spread_over([float(k) for k in range(11)]) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_swings_are_the_change_between_the_ends_largest_first(sweep: Path) -> None:
    largest, smallest = swings(load_sweep(sweep), "max_drawdown_fraction")
    assert (largest.axis.name, largest.low, largest.high) == ("leverage", "10", "30")
    assert largest.change.value == pytest.approx(0.020)
    assert smallest.axis.name == "depth"
    assert smallest.change.value == 0.0


def test_a_seeds_own_luck_is_not_in_the_interval_of_a_swing(sweep: Path) -> None:
    """Seeds move the median by per mille, and both ends alike: the change is the same whichever seeds are drawn."""
    change = swings(load_sweep(sweep), "max_drawdown_fraction")[0].change
    assert change.low == pytest.approx(change.high) == pytest.approx(0.020)


def test_a_swing_counts_only_what_finished_at_both_ends(tmp_path: Path) -> None:
    """Point 0 (leverage 10, depth 1e6) falls differently; without it, the other end may not count its partner."""

    def outcome(values: Any, seed: int) -> dict[str, Any]:
        return summary(values["leverage"] / 1000 + (0.5 if values["depth"] == 1e6 else 0.0), False)

    path = write_sweep(tmp_path / "s", [LEVERAGE, DEPTH], grid(LEVELS), outcome, without=lambda point, seed: point == 0)
    found = {swing.axis.name: swing for swing in swings(load_sweep(path), "max_drawdown_fraction")}
    assert found["leverage"].change.value == pytest.approx(0.020)


def test_swings_of_scattered_points_go_from_the_lowest_quarter_to_the_highest(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    points = [{"leverage": float(a), "depth": float(10**b)} for a, b in rng.uniform([0, 6], [40, 7], (200, 2))]
    path = write_sweep(
        tmp_path / "s", [LEVERAGE, DEPTH], points, lambda v, s: summary(v["leverage"], False), seeds=(1, 2, 3),
        design="latin_hypercube",
    )  # fmt: skip
    largest, smallest = swings(load_sweep(path), "max_drawdown_fraction")
    assert largest.axis.name == "leverage"
    assert largest.change.value == pytest.approx(30.0, abs=2.0)
    assert abs(smallest.change.value) < 6.0


def test_sobol_indices_of_the_ishigami_function_are_the_known_ones(tmp_path: Path) -> None:
    found = sobol_indices(load_sweep(saltelli(tmp_path / "s", 1024)), "max_drawdown_fraction")
    assert found.axes == ("x1", "x2", "x3")
    assert found.blocks == 1024
    assert found.first == pytest.approx([0.314, 0.442, 0.0], abs=0.04)
    assert found.total == pytest.approx([0.558, 0.442, 0.244], abs=0.04)
    assert np.all((found.first_half > 0) & (found.first_half < 0.12))
    assert np.all((found.total_half > 0) & (found.total_half < 0.12))


def test_sobol_indices_name_the_runs_that_are_missing(tmp_path: Path) -> None:
    path = saltelli(tmp_path / "s", 8, without=lambda point, seed: point == 7 or (point, seed) == (9, 2))
    with pytest.raises(RunDirectoryError, match=r"point 7 seed 1, point 7 seed 2, point 7 seed 3, point 9 seed 2;"):
        sobol_indices(load_sweep(path), "max_drawdown_fraction")
    assert "sensitivity" not in [drawn.stem for drawn in plot_sweep(path)]
    assert "point 9 seed 2" in write_sweep_report(path).read_text()


def test_sobol_indices_refuse_points_in_another_order(tmp_path: Path) -> None:
    path = saltelli(tmp_path / "s", 8)
    content = json.loads((path / "sweep.json").read_text())
    content["points"][1]["values"], content["points"][2]["values"] = (content["points"][k]["values"] for k in (2, 1))
    (path / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match="point 1 is not where"):
        sobol_indices(load_sweep(path), "max_drawdown_fraction")


def test_sobol_indices_refuse_an_outcome_that_never_varies(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="no variance"):
        sobol_indices(load_sweep(saltelli(tmp_path / "s", 8)), "margin_calls")


def test_without_salib_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saltelli(tmp_path / "s", 8)
    monkeypatch.setattr("marginquake.analysis.studies.sweeps.sensitivity.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'marginquake\[sensitivity\]'"):
        plot_sweep(path, figure="sensitivity")
    assert "marginquake[sensitivity]" in write_sweep_report(path).read_text().replace("&#39;", "'")


POLICIES = [{"policy": word} for word in ("full", "sliced", "with a price band")]
SCATTER = [{"leverage": 10.0 + k % 7, "depth": 1e6 * (1 + k)} for k in range(20)]
DESIGNS: dict[str, tuple[list[Any], list[Any], str, list[str]]] = {
    "grid of two": ([LEVERAGE, DEPTH], grid(LEVELS), "grid", ["phase", "fan", "tornado"]),
    "wide grid": (
        [LEVERAGE, DEPTH],
        grid({"leverage": [float(k) for k in range(5, 14)], "depth": [1e6, 2e6]}),
        "grid",
        ["phase", "fan", "tornado"],
    ),
    "grid with words": (
        [axis("rule"), LEVERAGE],
        grid({"rule": ["last", "median"], "leverage": [10.0, 20.0]}),
        "grid",
        ["fan", "tornado"],
    ),
    "one axis": ([LEVERAGE], [{"leverage": v} for v in (5.0, 10.0, 15.0)], "grid", ["fan"]),
    "together": ([LEVERAGE, DEPTH], [{"leverage": 10.0 * k, "depth": 1e6 * k} for k in (1, 2, 3)], "zip", ["fan"]),
    "words": ([axis("policy")], POLICIES, "list", ["points"]),
    "any list": ([LEVERAGE, DEPTH], SCATTER[:3], "list", ["points"]),
    "scattered": ([{**LEVERAGE, "low": 10.0, "high": 17.0}, DEPTH], SCATTER, "sobol", ["phase", "tornado"]),
}  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_gets_the_figures_that_fit_it(tmp_path: Path, design: str) -> None:
    axes, points, kind, expected = DESIGNS[design]

    def outcome(values: Any, seed: int) -> dict[str, Any]:
        return summary(0.01 * seed, seed > 5)

    path = write_sweep(tmp_path / "s", axes, points, outcome, design=kind, without=lambda point, seed: point == 1)
    drawn = plot_sweep(path)
    assert [one.stem for one in drawn] == expected
    assert set(reasons(load_sweep(path), "max_drawdown_fraction")) == set(SWEEP_FIGURES) - set(expected)
    for one in drawn:
        picture = Image.open(one)
        assert picture.width == 1500
        assert len(set(picture.convert("L").resize((200, 100)).tobytes())) > 20
        assert one.stat().st_size < 400_000


def test_sobol_indices_are_drawn(tmp_path: Path) -> None:
    (drawn,) = plot_sweep(saltelli(tmp_path / "s", 16), figure="sensitivity")
    assert drawn.name == "sensitivity.png"
    assert Image.open(drawn).width == 1500


def test_another_metric_gets_files_of_its_own(sweep: Path) -> None:
    drawn = plot_sweep(sweep, "phase", "bad_debt")
    assert drawn == [sweep / "figures" / "phase-bad_debt.png"]
    assert drawn[0].is_file()


def test_median_colours_grow_darker_all_the_way() -> None:
    lightness = [
        sum(int(colour[k : k + 2], 16) * part for k, part in ((1, 0.299), (3, 0.587), (5, 0.114)))
        for colour in MEDIAN_ANCHORS
    ]
    assert lightness == sorted(lightness, reverse=True)


def test_metrics_and_values_are_written_with_units_and_told_apart(sweep: Path) -> None:
    data = load_sweep(sweep)
    assert event_words(data) == "forced volume / open interest > 5 %"
    assert runs_words(data) == "60 runs: 6 points, 10 seeds each"
    assert metric_of("max_drawdown_fraction").text(0.1234) == "12.3 %"
    assert metric_of("eth.bad_debt").title == "eth: bad debt, quote units"
    assert metric_of("median_spread_ticks").title == "median spread, ticks"
    assert value_texts([10_001.0, 10_002.0]) == ["10.001k", "10.002k"]
    assert value_texts(["last", 5e6]) == ["last", "5M"]


def test_report_holds_everything_and_asks_nobody(tmp_path: Path) -> None:
    failures = [{"point": 3, "seed": 2, "error": "OverflowError: <b>too deep</b>"}]
    path = write_sweep(
        tmp_path / "s", [LEVERAGE, DEPTH], grid(LEVELS), stepped, failures=failures,
        without=lambda point, seed: (point, seed) == (3, 2),
    )  # fmt: skip
    run = path / "points" / "long_squeeze-00000000-s1"
    run.mkdir(parents=True)
    (run / "manifest.json").write_text(json.dumps({"software_version": "9.8.7", "git_commit": "abcdef"}))
    text = write_sweep_report(path).read_text()
    assert text.count("data:image/png;base64,") == 3
    plain = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"url\(|@import|<script|https?://|<b>", plain)
    assert len(text) < 5_000_000
    for expected in (
        "At which leverage does a fall feed itself?", "every combination of", "59", "of 60: 6 points, 10 seeds each",
        "OverflowError", "0.30 [0.11, 0.60]", "9 of 10", "model version", "9.8.7", "abcdef", "as the user wrote it",
    ):  # fmt: skip
        assert expected in plain, expected
    assert plain.count("<tr><td>") == 6 + 2


def test_a_large_design_keeps_its_report_small(tmp_path: Path) -> None:
    points = [{"leverage": float(k), "depth": 1e6 * (1 + (k * 37) % 1500)} for k in range(1500)]
    path = write_sweep(tmp_path / "s", [LEVERAGE, DEPTH], points, tipping_flat, seeds=(1,), design="sobol")
    text = write_sweep_report(path).read_text()
    assert "500 more points are in results.parquet" in text
    assert len(text) < 5_000_000


def tipping_flat(values: Any, seed: int) -> dict[str, Any]:
    return summary(values["leverage"] / 1500, values["leverage"] > 700)


def test_importing_the_analysis_of_sweeps_does_not_import_what_is_heavy() -> None:
    heavy = ("matplotlib", "pyarrow", "scipy", "SALib", "jinja2")
    code = f"import sys, marginquake.analysis.studies.sweeps; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
