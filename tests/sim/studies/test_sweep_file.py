"""Facts about sweep files: which points a design has, how they are written, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.studies.design import Sweep, load_comparison, load_sweep
from tests.support.paths import TINY

LEVERAGE = {"path": "populations.crowd.leverage", "values": [10, 20, 40]}
DEPTH = {"path": "depth_1pct", "between": ["1M", "4M"], "count": 3, "scale": "log"}


def sweep(tmp_path: Path, **content: Any) -> Sweep:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"scenario": str(TINY), "seeds": 2} | content, sort_keys=False))
    return load_sweep(file)


def values(found: Sweep) -> list[tuple[Any, ...]]:
    return [tuple(point.values.values()) for point in found.points]


def test_a_grid_is_every_combination_and_the_last_axis_runs_fastest(tmp_path: Path) -> None:
    found = sweep(tmp_path, axes={"leverage": LEVERAGE, "depth": DEPTH})
    assert values(found)[:4] == [(10, 1e6), (10, 2e6), (10, 4e6), (20, 1e6)]
    assert len(found.points) == 9
    assert found.points[1].overrides == ("populations.crowd.leverage=10", "depth_1pct=2000000")
    assert found.seeds == (1, 2)
    assert found.axes[1] == {"name": "depth", "label": "depth", "scale": "log", "low": 1e6, "high": 4e6}


def test_a_zip_moves_all_axes_together(tmp_path: Path) -> None:
    assert values(sweep(tmp_path, design="zip", axes={"a": LEVERAGE, "b": DEPTH})) == [(10, 1e6), (20, 2e6), (40, 4e6)]


def test_a_list_is_as_written(tmp_path: Path) -> None:
    points = [{"a": 3, "b": "2M"}, {"a": 5, "b": "1M"}]
    axes = {"a": {"path": LEVERAGE["path"]}, "b": {"path": "depth_1pct"}}
    found = sweep(tmp_path, design="list", axes=axes, points=points)
    assert values(found) == [(3, 2e6), (5, 1e6)]
    assert found.points[0].overrides[1] == "depth_1pct=2M"


def test_a_latin_hypercube_has_one_point_in_each_stratum_of_every_axis(tmp_path: Path) -> None:
    axes = {"a": {"path": "x", "between": [0, 1]}, "b": {"path": "y", "between": [1, 16], "scale": "log"}}
    found = sweep(tmp_path, design="latin_hypercube", samples=8, axes=axes)
    a, b = np.array(values(found)).T
    assert sorted(np.floor(8 * a).tolist()) == list(range(8))
    assert sorted(np.floor(8 * np.log(b) / np.log(16)).tolist()) == list(range(8))
    again = sweep(tmp_path, design="latin_hypercube", samples=8, axes=axes)
    assert values(found) == values(again), "the same file gives the same points"
    assert values(found) != values(sweep(tmp_path, design="latin_hypercube", samples=8, design_seed=1, axes=axes))


def test_sobol_points_fill_evenly(tmp_path: Path) -> None:
    axes = {"a": {"path": "x", "between": [0, 1]}, "b": {"path": "y", "between": [0, 1]}}
    points = np.array(values(sweep(tmp_path, design="sobol", samples=64, axes=axes)))
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=4, range=[[0, 1], [0, 1]])
    assert (counts == 4).all(), "a base-2 net has as many points in each of 16 squares"


def test_saltelli_has_n_times_d_plus_2_points(tmp_path: Path) -> None:
    pytest.importorskip("SALib")
    axes = {"a": {"path": "x", "between": [0, 1]}, "b": {"path": "y", "between": [0, 1]}}
    assert len(sweep(tmp_path, design="saltelli", samples=8, axes=axes).points) == 8 * 4


def test_one_axis_may_set_several_fields_and_whole_numbers(tmp_path: Path) -> None:
    axis = {"path": ["populations.crowd.accounts", "x.y"], "between": [1, 10], "count": 3, "integer": True}
    found = sweep(tmp_path, axes={"a": axis}, set=["duration=5s"])
    assert found.points[1].overrides == ("duration=5s", "populations.crowd.accounts=6", "x.y=6")


def test_durations_are_listed_and_shown_in_seconds(tmp_path: Path) -> None:
    found = sweep(tmp_path, axes={"a": {"path": "step", "values": ["100ms", "2s"]}})
    assert [value for (value,) in values(found)] == pytest.approx([0.1, 2.0])
    assert found.points[1].overrides == ("step=2s",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"axes": {"a": LEVERAGE}, "sceanrio": "x"}, "mine.yaml.*sceanrio: unknown field; known are"),
        ({"axes": {"a": LEVERAGE | {"between": [1, 2]}}}, "axes.a.*either 'values' or 'between'"),
        ({"axes": {"a": LEVERAGE | {"count": 3}}}, "'count' and 'integer' belong to a range"),
        ({"axes": {"a": {"path": "x"}}}, "axis a needs 'values', or 'count'"),
        ({"design": "list", "axes": {"a": LEVERAGE}, "points": [{"a": 1}]}, "axis a has only a path"),
        ({"axes": {"a": {"path": "x", "between": [2, 1], "count": 2}}}, "must be below the highest"),
        ({"axes": {"a": {"path": "x", "between": [0, 1], "count": 2, "scale": "log"}}}, "needs values above 0"),
        ({"axes": {"a": {"path": "x", "between": [0, 1]}}}, "axis a needs 'values', or 'count'"),
        ({"axes": {"a": {"path": "x", "between": ["1s", "2s"], "count": 2}}}, "list durations under 'values'"),
        ({"design": "zip", "axes": {"a": LEVERAGE, "b": {"path": "x", "values": [1]}}}, "a 3, b 1"),
        ({"design": "sobol", "axes": {"a": LEVERAGE}, "samples": 4}, "give axis a 'between'"),
        ({"design": "sobol", "axes": {"a": {"path": "x", "between": [0, 1]}}}, "needs 'samples'"),
        ({"design": "list", "axes": {"a": {"path": "x"}}, "points": [{"b": 1}]}, "points.0 must give a value to each"),
        ({"axes": {"a": LEVERAGE}, "samples": 4}, "'samples' belongs to"),
        ({"axes": {"a": LEVERAGE}, "seeds": [1, 1]}, "seeds must differ"),
        ({"axes": {"a": LEVERAGE}, "seeds": 0}, "at least 1"),
        (
            {"axes": {"a": LEVERAGE}, "seeds": 10**12},
            "seeds: value 1000000000000: must be at least 1 and at most 100,000",
        ),
        (
            {"axes": {f"a{n}": {"path": "x", "values": list(range(100))} for n in range(10)}},
            r"1e\+20 points times 2 seeds are 2e\+20 runs, at most 1,000,000; give the axes fewer values",
        ),
        ({"axes": {"a": LEVERAGE}, "scenario": "nowhere.yaml"}, "scenario.*no such file"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_a_wrong_sweep_file_is_refused_with_its_place(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        sweep(tmp_path, **content)


def test_a_comparison_is_a_sweep_over_policies(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        f"question: which?\nscenario: {TINY}\nseeds: 3\nset: [duration=5s]\nalternatives:\n"
        "  - {name: a}\n  - {name: b, set: [seed=4]}\n"
    )
    found = load_comparison(file)
    assert values(found) == [("a",), ("b",)]
    assert [point.overrides for point in found.points] == [("duration=5s",), ("duration=5s", "seed=4")]
    assert (found.design, found.seeds, found.axes[0]["name"]) == ("compare", (1, 2, 3), "policy")
    assert load_comparison(file, seeds=5).seeds == (1, 2, 3, 4, 5)
    file.write_text(f"scenario: {TINY}\nalternatives:\n  - {{name: a}}\n  - {{name: a}}\n")
    with pytest.raises(ScenarioError, match="different names"):
        load_comparison(file)
    file.write_text(f"scenario: {TINY}\nseeds: [1, 1]\nalternatives:\n  - {{name: a}}\n  - {{name: b}}\n")
    with pytest.raises(ScenarioError, match="seeds must differ"):
        load_comparison(file)
