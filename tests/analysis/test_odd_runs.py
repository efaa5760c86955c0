"""Every figure and every section of the report can be made of runs that are valid but odd."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from marginquake.analysis.figures import FIGURES
from marginquake.analysis.figures.draw import plot_run
from marginquake.analysis.frames.run_frames import load_run
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.report.run_report import write_report
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.studies import run as running
from tests.support.paths import TINY

pytestmark = pytest.mark.model

SHORT = ("duration=3s", "warmup=2s", "record.map_every=1s", "index.shocks=[{at: 1s, log_return: -2%, over: 1s}]")
FALL = "index.shocks=[{at: 1s, log_return: -40%, over: 1s}]"
ODD: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "price 2.4 at tick 1": (("contract.initial_price=2.4", "contract.tick_size=1"), ()),
    "price 2 at tick 1": (("contract.initial_price=2", "contract.tick_size=1"), ()),
    "price 7 at tick 1, narrow map": (
        ("contract.initial_price=7", "contract.tick_size=1", "record.map_range=0.01"),
        (),
    ),
    "one step": (("duration=100ms", "index.shocks=[]"), ()),
    "one step, no warm-up": (("duration=100ms", "warmup=0s", "index.shocks=[]"), ()),
    "no warm-up": (("warmup=0s",), ()),
    "one sample": (("record.series_every=3s", "record.map_every=3s"), ()),
    "inverse": (("contract.type=inverse",), ()),
    "path outside its map": (("record.map_range=0.0005", FALL), ()),
    "everybody falls": ((FALL,), ()),
    "no events kept": (("record.events=none",), ()),
    "no liquidations": (("liquidation.enabled=false", FALL), ()),
    "makers only": (("index.shocks=[]", "index.fundamental.volatility=0%"), ("makers",)),
    "background flow only": (("index.shocks=[]",), ("flow",)),
    "nobody holds a position at first": ((), ("makers", "flow", "arbs", "value")),
}


def odd_run(folder: Path, name: str) -> Path:
    overrides, only = ODD[name]
    scenario: dict[str, Any] = yaml.safe_load(TINY.read_text())
    if only:
        scenario["populations"] = {each: scenario["populations"][each] for each in only}
    file = folder / "odd.yaml"
    file.write_text(yaml.safe_dump(scenario, sort_keys=False))
    loaded = running.load_scenario(file, [*SHORT, *overrides])
    return running.run(loaded, out=folder / "runs", name="odd", figures=False).path


@pytest.mark.filterwarnings("error::RuntimeWarning", "error::UserWarning")
@pytest.mark.parametrize("name", ODD)
def test_nothing_is_left_out_of_an_odd_run(tmp_path: Path, name: str) -> None:
    path, left_out = odd_run(tmp_path, name), LeftOut()
    drawn = plot_run(path, left_out=left_out)
    write_report(path, left_out)
    assert left_out.lines == ()
    market = load_run(path).first
    assert [each.stem for each in drawn] == [each for each, picture in FIGURES.items() if picture.applies(market)]


@pytest.mark.parametrize("name", ["price 2.4 at tick 1", "makers only", "one step, no warm-up"])
def test_a_figure_asked_for_by_name_is_drawn_or_says_why_not(tmp_path: Path, name: str) -> None:
    path = odd_run(tmp_path, name)
    for figure, picture in FIGURES.items():
        if figure == "round_prices" and not picture.applies(load_run(path).first) and name == "makers only":
            with pytest.raises(RunDirectoryError, match="round_prices: nobody traded"):
                plot_run(path, figure)
        else:
            assert len(plot_run(path, figure)) == 1


@pytest.mark.parametrize("price", [2, 2.4, 7])
def test_a_map_has_bins_of_a_tick_where_ticks_are_coarse(tmp_path: Path, price: float) -> None:
    overrides = [*SHORT, "duration=200ms", f"contract.initial_price={price}", "contract.tick_size=1"]
    path = running.run(running.load_scenario(TINY, overrides), out=tmp_path, figures=False).path
    levels = load_run(path).first.map
    assert levels is not None
    first = round(price)
    assert {first, first + 1} <= set(levels.price_edges.tolist())
    assert (np.diff(levels.price_edges) == 1).all()
