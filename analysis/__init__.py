"""Reads run directories and says what happened; cannot see the model.  Notebooks import from here.

    from marginquake.analysis import explain, load_run, plot_run, write_report

Every name is loaded on first use.  Sees `sim.core` and `sim.runs`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marginquake.analysis import facts
    from marginquake.analysis.causes import causal_tree
    from marginquake.analysis.explanation import explain
    from marginquake.analysis.figures.draw import plot_run
    from marginquake.analysis.frames.run_frames import load_run
    from marginquake.analysis.levels import true_map as liquidation_map
    from marginquake.analysis.report.run_report import write_report
    from marginquake.analysis.studies.sweeps import load_sweep

__all__ = [
    "causal_tree",
    "explain",
    "facts",
    "liquidation_map",
    "load_run",
    "load_sweep",
    "plot_run",
    "write_report",
]

_HOMES = {
    "causal_tree": ("causes", "causal_tree"),
    "explain": ("explanation", "explain"),
    "liquidation_map": ("levels", "true_map"),
    "load_run": ("frames.run_frames", "load_run"),
    "load_sweep": ("studies.sweeps", "load_sweep"),
    "plot_run": ("figures.draw", "plot_run"),
    "write_report": ("report.run_report", "write_report"),
}


def __getattr__(name: str) -> Any:
    if name == "facts":
        return import_module("marginquake.analysis.facts")
    if name in _HOMES:
        room, there = _HOMES[name]
        return getattr(import_module(f"marginquake.analysis.{room}"), there)
    raise AttributeError(f"module 'marginquake.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
