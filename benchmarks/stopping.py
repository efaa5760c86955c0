"""Where falls stop, predicted from positions and book before the event, beside where they stopped.

`python -m benchmarks.stopping runs/sweeps/NAME`: reads the runs of a tipping search or a sweep over one parameter
that `tipping` or `sweep` has made, prints a table and draws docs/images/stopping.png.  The prediction is u* of
`analysis.levels.feedback.stopping_distance` (docs/model.md, eq. 30): once with the book as it stands, and once with
the depth that was in effect, which is measured in the same runs: what forced and stopped sellers sold by the low,
over what the standing book would have taken for the extra fall.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.studies.runs import ROOT
from marginquake.analysis.frames.lookup import starting_fuel
from marginquake.analysis.levels.feedback import stopping_distance
from marginquake.sim.runs.directory import read_summary
from marginquake.sim.runs.sweep_plan import read_plan

FEWEST_RUNS = 4
"""Values with fewer runs are left out of the figure."""
LEAST_EXTRA_FALL = 0.003
"""The depth in effect is measured where the market has fallen by this much more than the outside."""


@final
@dataclass(frozen=True)
class Fall:
    """One run: fractions of the starting price, and `multiple`, the depth in effect over the depth that stood."""

    fell: float
    outside: float
    multiple: float
    fuel: tuple[Any, Any, float]

    def predicted(self, multiple: float) -> float:
        """Where it should have stopped."""
        return 1.0 - math.exp(-stopping_distance(*self.fuel, -math.log1p(-self.outside), multiple))


def read(run: Path) -> Fall:
    """Measure one run."""
    fuel = starting_fuel(run)
    summary = read_summary(run)
    fell, outside = float(summary["max_drawdown_fraction"]), float(summary["fundamental_drawdown_fraction"])
    table = pq.read_table(run / "series.parquet", columns=["time_s", "last", "forced_volume", "stop_volume"])
    time_s, last, forced, stops = (column.to_numpy() for column in table.columns)
    low = int(np.nanargmin(np.where(time_s >= 0, last, np.nan)))
    sold = float((forced + stops)[(time_s >= 0) & (np.arange(len(last)) <= low)].sum())
    extra = fell - outside
    multiple = sold / (fuel[2] / 0.01 * extra) if extra > LEAST_EXTRA_FALL else math.nan
    return Fall(fell, outside, multiple, fuel)


def falls_by_value(sweep: Path) -> dict[float, list[Fall]]:
    """All runs of a sweep over one parameter, by its value."""
    (axis,) = [axis.name for axis in read_plan(sweep).axes]
    rows = pq.read_table(sweep / "results.parquet", columns=[f"axis_{axis}", "run"]).to_pydict()
    found: dict[float, list[Fall]] = {}
    for value, run in sorted(zip(rows[f"axis_{axis}"], rows["run"], strict=True)):
        found.setdefault(float(value), []).append(read(sweep / "points" / run))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "stopping.png")
    given = parser.parse_args(arguments)
    found = falls_by_value(given.sweep)
    multiples = np.array([fall.multiple for falls in found.values() for fall in falls])
    multiples = multiples[np.isfinite(multiples)]
    multiple = float(np.median(multiples))
    low, high = np.percentile(multiples, (25, 75))
    print(
        f"depth in effect / depth that stood: {multiple:.2f} (quartiles {low:.2f} to {high:.2f}, {len(multiples)} runs)"
    )
    print("| value | runs | outside fell | market fell | u*, book as it stands | u*, depth in effect |")
    print("|---|---|---|---|---|---|")
    lines = []
    for value, falls in found.items():
        columns = np.array([(f.outside, f.fell, f.predicted(1.0), f.predicted(multiple)) for f in falls])
        middle = np.median(columns, axis=0)
        shown = " | ".join(f"{100 * each:.2f} %" if math.isfinite(each) else "none" for each in middle)
        print(f"| {value:.4g} | {len(falls)} | {shown} |")
        if len(falls) >= FEWEST_RUNS:
            lines.append((value, *middle))
    _draw(np.array(lines), multiple, given.output)
    print(given.output)
    return 0


def _draw(lines: Any, multiple: float, output: Path) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    from marginquake.analysis.presentation import panels, theme

    with matplotlib.rc_context(theme.LIGHT):
        figure = Figure(figsize=(9.0, 5.4))
        ((axes,),) = panels.panels(figure, [1.0])
        value, outside, fell, standing, effective = lines.T
        axes.plot(value, 100 * fell, "o-", label="where the market stopped (median of seeds)")
        axes.plot(value, 100 * effective, "--", label=f"predicted, {multiple:.2f} times the depth that stands")
        axes.plot(value, 100 * standing, ":", label="predicted, the book as it stands")
        axes.plot(value, 100 * outside, color=theme.MUTED, label="the outside price")
        axes.set_ylim(0, 100 * 1.7 * float(fell.max()))
        axes.set_ylabel("fall, %")
        axes.legend(loc="upper left")
        panels.x_label(axes, "value of the parameter")
        panels.heading(figure, "Where falls stop", "forced notional released on the way against what the book absorbs")
        figure.savefig(output, dpi=110)


if __name__ == "__main__":
    raise SystemExit(main())
