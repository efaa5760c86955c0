"""The first minutes of a scenario, simulated to see what only a run can tell; nothing is written."""

from dataclasses import dataclass
from typing import Final, final

import numba

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.measured import OPENING_NS
from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs.event_log import NoLog
from marginquake.sim.scenario.bounds.memory import shortage
from marginquake.sim.scenario.measured_warnings import measured_warnings
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.run import release

MOST_WORK: Final = 100_000_000
"""Accounts times steps that are rehearsed; about ten seconds."""


@final
@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the first quarter of an hour says, or why there was none (`not_done`)."""

    warnings: tuple[ScenarioWarning, ...] = ()
    not_done: str | None = None


def rehearse(scenario: Scenario) -> Rehearsal:
    """Simulate the warm-up and the first 15 min (or all of it), with the scenario's own seed."""
    end_ns = min(OPENING_NS, scenario.duration)
    steps = (scenario.warmup + end_ns) // scenario.step
    accounts = sum(population.count for population in scenario.populations.values())
    if numba.config.DISABLE_JIT:
        return Rehearsal(
            not_done="not rehearsed: kernels are not compiled (NUMBA_DISABLE_JIT); `run` measures the same"
        )
    lacking = shortage(scenario)
    if lacking is not None:
        return Rehearsal(not_done=f"not rehearsed: {lacking}; `run` would refuse it here")
    if steps * accounts > MOST_WORK:
        return Rehearsal(
            not_done=f"not rehearsed: {accounts:,} accounts times {steps:,} steps would take too long; "
            "`run` measures the same"
        )
    model = MarketModel(scenario, AGENT_TYPES, open_log=NoLog)
    try:
        while model.now_ns < end_ns:
            model.step()
        if end_ns % scenario.record.series_every:
            model.recorder.sample(model.now_ns)
        return Rehearsal(measured_warnings(scenario, model.measured()))
    finally:
        release(model)
