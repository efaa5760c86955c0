"""A process that reads scenario files for somebody who does not trust them: one line of JSON asks, one answers."""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs.event_log import NoLog
from marginquake.sim.scenario import yaml_tree
from marginquake.sim.scenario.bounds import budget
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.design import load_comparison, load_sweep
from marginquake.sim.studies.run import release

READERS: dict[str, Any] = {
    "scenario": lambda path: load_scenario(path, AGENT_TYPES),
    "sweep": load_sweep,
    "comparison": load_comparison,
}
STEPS = 30
MOST_ACCOUNTS = 20_000
"""Of a mutant that is run: larger ones are built too slowly for a test."""
HARD_LIMIT_MB = 1500
"""More memory than an idle process has: then Python raises MemoryError, and the machine lives on."""
built = 0


def main() -> None:
    """Answer until nobody asks."""
    _count_nodes()
    read("scenario", sys.argv[1])
    idle = _peak_mb()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + HARD_LIMIT_MB * 2**20,) * 2)
    for line in sys.stdin:
        question = json.loads(line)
        answer = run(question["path"]) if question["kind"] == "run" else read(question["kind"], question["path"])
        print(json.dumps(answer | {"more_mb": _peak_mb() - idle}), flush=True)


def read(kind: str, path: str) -> dict[str, Any]:
    """`read`, `refused` with the problems as (line, source, text), or `failed`."""
    global built
    built = 0
    try:
        found = READERS[kind](path)
    except ScenarioError as error:
        told = [(problem.place.line, problem.place.source, str(problem)) for problem in error.problems]
        return {"outcome": "refused", "told": told, "nodes": built}
    except BaseException as error:
        return {"outcome": "failed", "told": [(0, "", f"{type(error).__name__}: {error}"[:300])], "nodes": built}
    if isinstance(found, Scenario):
        found.resolved_yaml()
    return {"outcome": "read", "told": [], "nodes": built}


def run(path: str) -> dict[str, Any]:
    """Some steps with all invariants."""
    try:
        scenario = load_scenario(path, AGENT_TYPES, ["warmup=0s"])
    except ScenarioError as error:
        return {"outcome": "refused", "told": [(0, "", str(error)[:300])], "nodes": 0}
    if sum(population.count for population in scenario.populations.values()) > MOST_ACCOUNTS:
        return {"outcome": "too large to be run here", "told": [], "nodes": 0}
    try:
        model = MarketModel(scenario, AGENT_TYPES, scenario.seed, True, NoLog)
        for _ in range(min(STEPS, scenario.steps)):
            model.step()
        release(model)
    except BaseException as error:
        return {"outcome": "failed", "told": [(0, "", f"{type(error).__name__}: {error}"[:300])], "nodes": 0}
    return {"outcome": "ran", "told": [], "nodes": 0}


def _count_nodes() -> None:
    inner = yaml_tree._Builder.build

    def build(self: Any, *args: Any) -> Any:
        global built
        built += 1
        return inner(self, *args)

    yaml_tree._Builder.build = build  # type: ignore[method-assign]
    assert budget.MAX_VALUES > 0


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
