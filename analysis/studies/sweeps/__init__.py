"""Analysis of sweeps: phase diagrams, fan charts, tornados, Sobol indices and the report of a sweep directory.

    plot_sweep("runs/leverage_and_depth-1a2b3c4d")
    write_sweep_report("runs/leverage_and_depth-1a2b3c4d")

Reads what `marginquake sweep` wrote, and nothing else.
"""

from marginquake.analysis.statistics.intervals import bootstrap, paired_differences, wilson
from marginquake.analysis.studies.sweeps.figures import SWEEP_FIGURES, plot_sweep
from marginquake.analysis.studies.sweeps.load import SweepData, by_point, load_sweep
from marginquake.analysis.studies.sweeps.report import write_sweep_report
from marginquake.analysis.studies.sweeps.sensitivity import SobolIndices, sobol_indices
from marginquake.analysis.studies.sweeps.tornado import AxisSwing, swings

__all__ = [
    "SWEEP_FIGURES",
    "AxisSwing",
    "SobolIndices",
    "SweepData",
    "bootstrap",
    "by_point",
    "load_sweep",
    "paired_differences",
    "plot_sweep",
    "sobol_indices",
    "swings",
    "wilson",
    "write_sweep_report",
]
