"""marginquake: how leveraged markets break.

    import marginquake as mq

    scenario = mq.load_scenario("long_squeeze", ["duration=2min"])
    result = mq.run(scenario, seed=7)
    result.summary["margin_calls"], result.path

A trader imports from `marginquake.agents`, a venue rule from `marginquake.sim.rules`, a notebook from
`marginquake.analysis`.  Every name here is loaded on first use, so `import marginquake` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marginquake.analysis import explain, load_run, load_sweep, plot_run, write_report
    from marginquake.sim.core.version import __version__
    from marginquake.sim.model.model import MarketModel
    from marginquake.sim.scenario.scenario import Scenario
    from marginquake.sim.studies.counterfactual import counterfactual
    from marginquake.sim.studies.run import RunResult, load_scenario, replay, resume, run
    from marginquake.sim.studies.sweep import compare, sweep
    from marginquake.sim.studies.tipping import find_tipping_point

_HOMES = {
    "marginquake.analysis": ("explain", "load_run", "load_sweep", "plot_run", "write_report"),
    "marginquake.sim.core.version": ("__version__",),
    "marginquake.sim.model.model": ("MarketModel",),
    "marginquake.sim.scenario.scenario": ("Scenario",),
    "marginquake.sim.studies.counterfactual": ("counterfactual",),
    "marginquake.sim.studies.run": ("RunResult", "load_scenario", "replay", "resume", "run"),
    "marginquake.sim.studies.sweep": ("compare", "sweep"),
    "marginquake.sim.studies.tipping": ("find_tipping_point",),
}

__all__ = [
    "MarketModel",
    "RunResult",
    "Scenario",
    "__version__",
    "compare",
    "counterfactual",
    "explain",
    "find_tipping_point",
    "load_run",
    "load_scenario",
    "load_sweep",
    "plot_run",
    "replay",
    "resume",
    "run",
    "sweep",
    "write_report",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'marginquake' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
