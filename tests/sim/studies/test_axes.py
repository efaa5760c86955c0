"""Facts about axes: whole numbers are even, null is a point called 'off', and what varies nothing is refused."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.runs.sweep_plan import read_plan
from marginquake.sim.studies.design import Sweep, load_sweep
from marginquake.sim.studies.sweep import plan_sweep
from marginquake.sim.studies.sweep_directory import SweepDirectory
from tests.support.paths import TINY, TINY_SWEEP

BAND = "venue.price_band"
LEVERAGE = "populations.crowd.leverage"


def sweep(tmp_path: Path, **content: Any) -> Sweep:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"scenario": str(TINY), "seeds": 2} | content, sort_keys=False))
    return load_sweep(file)


def written(tmp_path: Path, text: str) -> Sweep:
    file = tmp_path / "mine.yaml"
    file.write_text(f"scenario: {TINY}\nseeds: 1\n{text}")
    return load_sweep(file)


def column(found: Sweep, name: str = "a") -> list[Any]:
    return [point.values[name] for point in found.points]


# ---- whole numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [(1, 3), (-1, 1), (-3, -1), (0.5, 3.5), ("1", "3")])
def test_drawn_whole_numbers_are_each_as_often_as_the_next(tmp_path: Path, ends: tuple[Any, Any]) -> None:
    axis = {"path": "x", "between": list(ends), "integer": True}
    counts = Counter(column(sweep(tmp_path, design="latin_hypercube", samples=3000, axes={"a": axis})))
    assert sorted(counts.values()) == [1000, 1000, 1000]
    assert all(isinstance(value, int) for value in counts)


def test_whole_numbers_of_a_sobol_sequence_are_even_too(tmp_path: Path) -> None:
    axis = {"path": "x", "between": [1, 4], "integer": True}
    counts = Counter(column(sweep(tmp_path, design="sobol", samples=1024, axes={"a": axis})))
    assert counts == {1: 256, 2: 256, 3: 256, 4: 256}


def test_whole_numbers_of_a_saltelli_design_are_even_too(tmp_path: Path) -> None:
    pytest.importorskip("SALib")
    axes = {name: {"path": name, "between": [1, 4], "integer": True} for name in "ab"}
    counts = Counter(column(sweep(tmp_path, design="saltelli", samples=256, axes=axes)))
    assert set(counts) == {1, 2, 3, 4}
    assert max(counts.values()) - min(counts.values()) <= 8


def test_on_a_log_scale_every_whole_number_has_its_stretch_of_the_scale(tmp_path: Path) -> None:
    axis = {"path": "x", "between": [1, 8], "integer": True, "scale": "log"}
    counts = Counter(column(sweep(tmp_path, design="latin_hypercube", samples=8000, axes={"a": axis})))
    whole = math.log(8.5 / 0.5)
    for value in range(1, 9):
        assert counts[value] / 8000 == pytest.approx(math.log((value + 0.5) / (value - 0.5)) / whole, abs=0.001)


def test_amounts_round_to_whole_units_within_their_ends(tmp_path: Path) -> None:
    axis = {"path": "depth_1pct", "between": ["1.5", "3.2"], "integer": True, "count": 2}
    assert column(sweep(tmp_path, axes={"a": axis})) == [2, 3]


@pytest.mark.parametrize(
    ("ends", "count", "scale", "expected"),
    [
        ((1, 4), 4, "linear", [1, 2, 3, 4]),
        ((1, 4), 3, "linear", [1, 2, 4]),
        ((1, 10), 7, "log", [1, 2, 3, 4, 5, 7, 10]),
        ((1, 4), 4, "log", [1, 2, 3, 4]),
        ((1, 16), 5, "log", [1, 2, 4, 8, 16]),
        ((-2, 2), 5, "linear", [-2, -1, 0, 1, 2]),
        ((0, 1), 2, "linear", [0, 1]),
    ],
)
def test_a_grid_of_whole_numbers_repeats_none(
    tmp_path: Path, ends: tuple[int, int], count: int, scale: str, expected: list[int]
) -> None:
    axis = {"path": "x", "between": list(ends), "count": count, "integer": True, "scale": scale}
    assert column(sweep(tmp_path, axes={"a": axis})) == expected


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({"between": [1, 4], "count": 7}, r"mine.yaml:4: axes.a.*there are 4 whole numbers"),
        ({"between": [1.2, 1.8], "count": 2}, "no whole number between 1.2 and 1.8"),
        ({"between": ["1%", "5%"], "count": 2}, "no whole number between 0.01 and 0.05"),
        ({"between": [0.5, 1.5], "count": 2}, "1 is the only whole number.*varies nothing"),
    ],
    ids=lambda item: str(item)[:30],
)  # fmt: skip
def test_whole_numbers_that_are_not_there_are_refused(tmp_path: Path, axis: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        sweep(tmp_path, axes={"a": {"path": "x", "integer": True, **axis}})


# ---- axes that vary nothing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("axes:\n  a: {path: seed, values: [1, 2]}", r"mine.yaml:4: axes.a.path: value seed: every point"),
        ("axes:\n  a: {path: [depth_1pct, seed], values: [1, 2]}", r"mine.yaml:4: axes.a.path.1: value seed"),
        ("axes:\n  a: {path: name, values: [x, y]}", "nothing that happens depends on name"),
        ("axes:\n  a: {path: question, values: [x, y]}", "nothing that happens depends on question"),
        (
            "axes:\n  a: {path: depth_1pct, values: [1M, 2M]}\n  b: {path: depth_1pct, values: [3M, 4M]}",
            r"mine.yaml:5: axes.b.path.*axis a sets depth_1pct already",
        ),
        ("axes:\n  a: {path: [step, step], values: [1s, 2s]}", r"mine.yaml:4: axes.a.path.1.*sets step already"),
        (
            f"axes:\n  a:\n    path: {LEVERAGE}.minimum\n    values: [5, 6]\n"
            f"  b:\n    path: {LEVERAGE}\n    values: [7, 8]",
            r"mine.yaml:8: axes.b.path: value populations.crowd.leverage: axis a sets populations."
            "crowd.leverage.minimum: the one would undo",
        ),
        (
            f"axes:\n  a: {{path: populations.crowd, values: [x, y]}}\n  b: {{path: {LEVERAGE}, values: [7, 8]}}",
            r"mine.yaml:5: axes.b.*axis a sets populations.crowd: the one would undo",
        ),
        ("axes:\n  a:\n    path: depth_1pct\n    values:\n      - 1M\n      - 1e6", "mine.yaml:8: axes.a.val.*1M"),
        (f"axes:\n  a: {{path: {BAND}, values: [1%, 0.01]}}", "0.01 is the same as 1%"),
        ("axes:\n  a: {path: step, values: [60s, 1min]}", "1min is the same as 60s"),
        ("axes:\n  a: {path: x, values: [true, 'true']}", "true is written twice"),
        ("axes:\n  a: {path: x, values: [null, ~]}", "off is written twice"),
        ("axes:\n  a: {path: x, between: [1, 1.000000000001], count: 3}", "1 is written twice"),
        (
            "axes:\n  a: {path: x, values: [1]}\n  b: {path: y, values: [1, 2]}",
            r"mine.yaml:4: axes.a: takes one value, 1: it varies nothing; write it under 'set'",
        ),
        (
            "design: zip\naxes:\n  a: {path: x, values: [1, 1]}\n  b: {path: y, values: [1, 2]}",
            r"mine.yaml:5: axes.a: takes one value, 1",
        ),
        (
            "design: list\naxes:\n  a: {path: x}\n  b: {path: y}\npoints:\n  - {a: 1, b: 2}\n  - {a: 2, b: 2}",
            r"mine.yaml:6: axes.b: takes one value, 2",
        ),
        (
            "design: list\naxes:\n  a: {path: x}\npoints:\n  - {a: 1}\n  - {a: 2}\n  - {a: 1}",
            r"mine.yaml:9: points.2: point 2 is the same as point 0",
        ),
        ("design: sobol\nsamples: 4\naxes:\n  a: {path: seed, between: [1, 9], integer: true}", "every point runs"),
    ],
    ids=lambda item: item.replace("\n", " ")[:70],
)  # fmt: skip
def test_an_axis_that_varies_nothing_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        written(tmp_path, text)


def test_one_point_alone_is_no_axis_that_varies_nothing(tmp_path: Path) -> None:
    assert column(written(tmp_path, "axes: {a: {path: depth_1pct, values: [1M]}}")) == [1e6]


def test_axes_of_a_zip_may_repeat_values_as_long_as_points_differ(tmp_path: Path) -> None:
    text = "design: zip\naxes:\n  a: {path: x, values: [1, 1, 2]}\n  b: {path: y, values: [1, 2, 2]}"
    assert [tuple(point.values.values()) for point in written(tmp_path, text).points] == [(1, 1), (1, 2), (2, 2)]


TWO_MARKETS = """
extends: {tiny}
markets:
  here: {{depth_1pct: 1M}}
  there: {{depth_1pct: 2M}}
"""


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("  a: {path: depth_1pct, values: [3M, 4M]}", r"mine.yaml:4: axes.a: .*whatever depth_1pct is"),
        (
            "  a: {path: depth_1pct, values: [3M, 4M]}\n  b: {path: populations.crowd.leverage, values: [9, 10]}",
            r"mine.yaml:4: axes.a: .*the same whatever",
        ),
    ],
)  # fmt: skip
def test_a_field_that_the_scenario_does_not_read_is_no_axis(tmp_path: Path, axes: str, message: str) -> None:
    (tmp_path / "two.yaml").write_text(TWO_MARKETS.format(tiny=TINY))
    (tmp_path / "mine.yaml").write_text(f"scenario: two.yaml\nseeds: 1\naxes:\n{axes}\n")
    with pytest.raises(ScenarioError, match=message):
        plan_sweep(load_sweep(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("design", ["latin_hypercube", "sobol"])
def test_a_field_that_the_scenario_does_not_read_is_no_axis_to_draw_from(tmp_path: Path, design: str) -> None:
    text = (
        f"design: {design}\nsamples: 8\naxes:\n  a: {{path: liquidation.slice_fraction, between: [10%, 90%]}}\n"
        "  b: {path: populations.crowd.leverage, between: [5, 50]}\nset: [liquidation.procedure=full]"
    )
    with pytest.raises(ScenarioError, match=r"mine.yaml:6: axes.a: .*whatever liquidation.slice_fraction is"):
        plan_sweep(written(tmp_path, text))
    assert len(plan_sweep(written(tmp_path, text.replace("procedure=full", "procedure=sliced"))).texts) == 8


def test_values_that_come_to_one_scenario_are_refused(tmp_path: Path) -> None:
    text = "axes:\n  a: {path: venue.mark.rule, values: [last, index, median_of_three]}\n"
    assert len(plan_sweep(written(tmp_path, text)).runs) == 3
    text = "axes:\n  a: {path: venue.insurance, values: ['{initial: 1k}', '{initial: 1000}', '{initial: 2k}']}\n"
    with pytest.raises(ScenarioError, match=r"mine.yaml:4: axes.a: .*1k.* and .*1000.* come to the same scenario"):
        plan_sweep(written(tmp_path, text))


def test_a_value_that_matters_with_some_values_of_another_axis_only_is_allowed(tmp_path: Path) -> None:
    text = (
        "axes:\n  procedure: {path: liquidation.procedure, values: [full, sliced]}\n"
        "  above: {path: liquidation.slice_fraction, values: [10%, 90%]}\n"
    )
    assert len(plan_sweep(written(tmp_path, text)).runs) == 4


# ---- off ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("null", ["null", "~", "'null'", "Null"])
def test_null_is_a_point_called_off(tmp_path: Path, null: str) -> None:
    found = written(tmp_path, f"axes:\n  a: {{path: {BAND}, values: [{null}, 1%, 5%]}}\n")
    assert column(found) == [None, 0.01, 0.05]
    assert found.points[0].overrides == (f"{BAND}=null",)
    assert (found.axes[0]["low"], found.axes[0]["high"]) == (None, None)
    texts = plan_sweep(found).texts
    assert "price_band: null" in texts[0]
    assert "price_band: 0.05" in texts[2]


def test_null_may_be_in_a_list_of_points_and_in_a_zip(tmp_path: Path) -> None:
    axes = f"axes:\n  a: {{path: {BAND}}}\n  b: {{path: depth_1pct}}\n"
    found = written(tmp_path, f"design: list\n{axes}points: [{{a: null, b: 1M}}, {{a: 2%, b: 2M}}]\n")
    assert column(found) == [None, 0.02]
    assert len(plan_sweep(found).runs) == 2
    axes = f"axes:\n  a: {{path: {BAND}, values: [2%, null]}}\n  b: {{path: depth_1pct, values: [1M, 2M]}}\n"
    assert column(written(tmp_path, f"design: zip\n{axes}")) == [0.02, None]


def test_truth_values_are_written_as_in_a_scenario(tmp_path: Path) -> None:
    found = written(tmp_path, "axes:\n  a: {path: index.feedback.enabled, values: [true, false]}\n")
    assert column(found) == [True, False]
    assert found.points[1].overrides == ("index.feedback.enabled=false",)
    assert len(plan_sweep(found).runs) == 2


def test_null_where_a_field_cannot_be_without_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"mine.yaml:4: axes.a: value null: depth_1pct cannot be off"):
        plan_sweep(written(tmp_path, "axes:\n  a: {path: depth_1pct, values: [null, 3M]}\n"))


@pytest.mark.parametrize("values", ["[null, 1%, 5%]", "[0, 1%]", "[low, 1%]", "[-1, 1]"])
def test_a_log_scale_has_no_place_for_what_is_no_number_above_0(tmp_path: Path, values: str) -> None:
    with pytest.raises(ScenarioError, match=r"mine.yaml:4: axes.a.values: .*a log scale needs numbers above 0"):
        written(tmp_path, f"axes:\n  a: {{path: {BAND}, values: {values}, scale: log}}\n")
    with pytest.raises(ScenarioError, match=r"mine.yaml:7: points.1.a: .*a log scale needs numbers above 0"):
        written(
            tmp_path,
            f"design: list\naxes: {{a: {{path: {BAND}, scale: log}}}}\npoints:\n  - {{a: 1%}}\n  - {{a: null}}\n",
        )


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([None, 0.01, 0.05], [None, 0.01, 0.05]),
        ([None, 1, 5], [None, 1, 5]),
        ([None, 1, 0.5], [None, 1.0, 0.5]),
        ([None, True], [None, True]),
        ([None, "last"], ["off", "last"]),
        (["none", 0.5], ["none", "0.5"]),
        ([False, 2], ["false", "2"]),
    ],
)
def test_the_table_keeps_numbers_with_null_where_the_axis_is_off(
    tmp_path: Path, values: list[Any], kept: list[Any]
) -> None:
    import pyarrow.parquet as pq

    plan = load_sweep(TINY_SWEEP)
    points = tuple(
        type(plan.points[0])(number, {"leverage": value, "depth": 1.0}, plan.points[0].scenario, ())
        for number, value in enumerate(values)
    )
    wanted = Sweep("mine", "", "list", plan.axes, points, (1,), plan.event, "")
    directory = SweepDirectory(tmp_path / "mine")
    directory.begin(wanted, "3", {(number, 1): f"fake-{number}" for number in range(len(values))})
    for number in range(len(values)):
        run = directory.points / f"fake-{number}"
        run.mkdir()
        (run / "manifest.json").write_text(json.dumps({"schema_version": 1, "status": "complete"}))
        (run / "summary.json").write_text(json.dumps({plan.event.metric: 0.5}))
    assert pq.read_table(directory.write_table()).column("axis_leverage").to_pylist() == kept
    assert [point.values["leverage"] for point in read_plan(directory.path).points] == values
