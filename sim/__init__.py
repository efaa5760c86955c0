"""How a market works; knows nobody's strategy.

    from sim import load_scenario, run

    result = run("scenarios/long_squeeze.yaml", seed=7)
    result.summary["margin_calls"], result.path

The two names are loaded on first use: `import sim.records` stays as light as it looks.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.api import load_scenario, run

__all__ = ["load_scenario", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sim import api

        return getattr(api, name)
    raise AttributeError(f"module 'sim' has no attribute {name!r}")
