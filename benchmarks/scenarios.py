"""Events a second of each shipped scenario: warm-up and first simulated minute, without figures and files.

Times are CPU seconds.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from benchmarks.rows import Row, missing
from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import release

SCENARIOS = Path("scenarios")
MOST_S = 4.0
"""A run is stopped after so long."""
SIMULATED_S = 60.0


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """One run: what it took to build, then events and simulated seconds in so many seconds."""

    build_s: float
    events: int
    steps: int
    simulated_s: float
    cpu_s: float


def measure(repeat: int, simulated_s: float = SIMULATED_S) -> list[Row]:
    """One row a scenario."""
    rows = []
    for path in sorted(SCENARIOS.glob("*.yaml")):
        try:
            paces = [_run(path, simulated_s) for _ in range(repeat)]
        except ScenarioError as error:
            rows.append(missing(path.stem, str(error)))
            continue
        rate = float(np.median([pace.events / pace.cpu_s for pace in paces]))
        build, steps, speed = (
            float(np.median(values))
            for values in (
                [pace.build_s for pace in paces],
                [pace.steps / pace.cpu_s for pace in paces],
                [pace.simulated_s / pace.cpu_s for pace in paces],
            )
        )
        note = f"{steps:,.0f} steps/s, {speed:,.0f} times real time; built in {build:.2f} s"
        rows.append(Row(path.stem, rate, "events/s", note=note))
    return rows


def _run(path: Path, simulated_s: float) -> Pace:
    """From the first step of the warm-up until `simulated_s` after it, or until `MOST_S` have passed."""
    started = time.process_time()
    model = MarketModel(load_scenario(path, AGENT_TYPES), AGENT_TYPES)
    built = time.process_time()
    try:
        start_ns, events, steps = model.now_ns, 0, 0
        begun = time.process_time()
        while steps < model.steps_total and model.now_ns < simulated_s * 1e9:
            model.step()
            steps += 1
            events += sum(len(room.last_events) for room in model.sessions)
            if time.process_time() - begun > MOST_S:
                break
        spent = time.process_time() - begun
        return Pace(built - started, events, steps, (model.now_ns - start_ns) / 1e9, spent)
    finally:
        release(model)
