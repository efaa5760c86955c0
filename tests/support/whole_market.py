"""Whole markets of every participant type, opened from a scenario file, and run here or in another process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from marginquake.agents import AGENT_TYPES
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs.directory import RunData
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import release
from tests.support.paths import ROOT, TINY

VOLATILE_MARGINS = (
    "venue.maintenance={rule: volatility_linked, sensitivity: 2, reference_volatility: 20%, update_every: 1s, "
    "half_life: 20s, cap: 4}"
)
EVERYTHING = (
    "duration=8s",
    "warmup=1s",
    "index.shocks=[{at: 1s, log_return: -1.5%, over: 3s}]",
    VOLATILE_MARGINS,
    "venue.initial={rule: open_interest_linked, lower: 0, upper: 10M, update_every: 2s}",
    "venue.mark={rule: hyperliquid, period: 500ms}",
    "venue.funding={rule: bitmex, interval: 4s, sample_period: 500ms}",
    "venue.oracle={period: 300ms, deviation: 5bps, delay: 200ms}",
    "venue.circuit_breaker={move: 20bps, window: 1s, pause: 700ms}",
)
"""A short run of TINY in which every rule that keeps a state does so."""


OpenModel: TypeAlias = Callable[..., MarketModel]
"""The fixture `open_model`, which takes what this function takes, and lets the model go."""


def open_model(path: Path, *overrides: str, seed: int | None = None, check: bool = False) -> MarketModel:
    """The model of a scenario before its first step; `check`: the invariants, after every step."""
    return MarketModel(load_scenario(path, AGENT_TYPES, overrides), AGENT_TYPES, seed=seed, check_invariants=check)


def run_to_end(model: MarketModel) -> RunData:
    """What a model leaves behind."""
    for _ in range(model.steps_total):
        model.step()
    return model.finish()


def simulate(*overrides: str, seed: int = 1, check: bool = False, path: Path = TINY) -> RunData:
    """A run in memory."""
    model = open_model(path, *overrides, seed=seed, check=check)
    try:
        return run_to_end(model)
    finally:
        release(model)


PROBE = """
import sys
from tests.support.whole_market import simulate
print(simulate(*sys.argv[1:]).summary["event_digest"])
"""


def digest_elsewhere(environment: dict[str, str], *overrides: str) -> str:
    """The event digest that another process, with this in its environment, finds for the same run."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *overrides],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout.strip()
