"""A grid of two axes as tables, and the line on which the event happens in half of the runs."""

from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.load import Floats, Ints
from analysis.sweeps.layout import Cells, cells
from analysis.sweeps.load import Axis, SweepData, pooled

HALF = 0.5


@final
@dataclass(frozen=True)
class PhaseTable:
    """Outcomes on a grid; every table is (rows of y, columns of x).

    `median`: of the metric over all runs of the cell (seeds, and further axes if there are any), NaN where there is
    none.  `runs` finished, `events` among them.
    """

    x: Cells
    y: Cells
    median: Floats
    runs: Ints
    events: Ints

    @property
    def share(self) -> Floats:
        """P(event), NaN in cells without a finished run."""
        return np.where(self.runs > 0, self.events / np.maximum(self.runs, 1), np.nan)


def phase_table(sweep: SweepData, x: Axis, y: Axis, metric: str) -> PhaseTable:
    """Pool the runs of a grid by two numeric axes."""
    across, up = sweep.levels(x), sweep.levels(y)
    found = [[pooled(sweep, metric, sweep.rows({x.name: left, y.name: high})) for left in across] for high in up]
    return PhaseTable(
        x=cells(x, [float(value) for value in across]),
        y=cells(y, [float(value) for value in up]),
        median=np.array([[cell.median for cell in row] for row in found]),
        runs=np.array([[cell.runs for cell in row] for row in found], np.int64),
        events=np.array([[cell.events for cell in row] for row in found], np.int64),
    )


def half_contour(x: Floats, y: Floats, share: Floats) -> list[Floats]:
    """Lines on which a share (rows of y, columns of x) is one half, linear between centres; each (n, 2).

    Empty where the line does not exist: fewer than two rows or columns, or the share on one side of a half throughout.
    Nothing is drawn through cells without a share.
    """
    known = share[np.isfinite(share)]
    if min(share.shape) < 2 or len(known) == 0 or not known.min() < HALF < known.max():
        return []
    from contourpy import LineType, contour_generator

    generator = contour_generator(x, y, np.ma.masked_invalid(share), line_type=LineType.Separate)
    return [np.asarray(line, np.float64) for line in generator.lines(HALF) if len(line) > 1]
