"""What a run needs of memory at least, and what this machine has."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from marginquake.sim.core.integers.limits import BYTES_A_TICK
from marginquake.sim.core.problems import Place, Problem, ScenarioError
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.scenario.yaml_tree import Path_

BYTES_AN_ACCOUNT: Final = 500
"""Its row, latency, audit case and outcome, and what its population remembers of it (measured: 500 to 950)."""
SERIES_COLUMNS: Final = 60
COLUMNS_A_POPULATION: Final = 4
MAPS: Final = 4
BYTES_A_NUMBER: Final = 8
BYTES_A_VIEW: Final = 400
"""A view of the market that is kept for those whose data is late."""
CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Need(NamedTuple):
    """Memory that one field asks for."""

    market: str
    path: Path_
    what: str
    size: float


def needs(scenario: Scenario) -> Iterator[Need]:
    """Everything large that a run keeps, by the field that decides it."""
    length = scenario.warmup + scenario.duration
    record = scenario.record
    columns = SERIES_COLUMNS + COLUMNS_A_POPULATION * len(scenario.populations)
    for market in scenario.markets:
        contract = market.contract
        ticks = contract.initial_price * (contract.max_price_multiple / contract.tick_size)
        yield Need(market.name, ("contract", "tick_size"), "the ladder of prices", ticks * BYTES_A_TICK)
        rows = length / record.series_every
        yield Need(market.name, ("record", "series_every"), "the series", 2 * rows * columns * BYTES_A_NUMBER)
        maps = scenario.duration / record.map_every * record.map_bins * MAPS * BYTES_A_NUMBER
        yield Need(market.name, ("record", "map_every"), "the maps", maps)
    for name, population in scenario.populations.items():
        config: Any = population.config
        at = ("populations", name)
        accounts = population.count * float(BYTES_AN_ACCOUNT)
        yield Need(population.market, (*at, "accounts"), f"the accounts of {name}", accounts)
        late = getattr(config, "data_latency", 0) / scenario.step * BYTES_A_VIEW
        yield Need(population.market, (*at, "data_latency"), f"what {name} see late", late)
        own = getattr(config, "bytes_needed", None)
        if own is not None:
            interval_s = max(config.decision_interval, scenario.step) * 1e-9
            for field, size in own(interval_s):
                yield Need(population.market, (*at, field), f"what {name} remember", size)


def shortage(scenario: Scenario, limit: float | None = None) -> str | None:
    """Why a run does not fit into `limit` bytes (default: this machine's memory), with its largest part; None if it
    does."""
    problem = _problem(scenario, limit)
    return None if problem is None else problem.message


def check_memory(scenario: Scenario, limit: float | None = None) -> None:
    """Raises ScenarioError where a run needs more than `limit` bytes of memory (default: what this machine has)."""
    problem = _problem(scenario, limit)
    if problem is not None:
        raise ScenarioError([problem])


def _problem(scenario: Scenario, limit: float | None) -> Problem | None:
    has = memory_of_machine() if limit is None else limit
    parts = sorted(needs(scenario), key=lambda need: -need.size)
    total = sum(need.size for need in parts)
    if total <= has or not parts:
        return None
    largest = parts[0]
    message = (
        f"the run needs {shown_bytes(total)} of memory, {largest.what} {shown_bytes(largest.size)} of it; this machine "
        f"has {shown_bytes(has)}"
    )
    if scenario.places is None:
        return Problem(Place(str(scenario.path), 0, scenario.path.parent), ".".join(map(str, largest.path)), message)
    found = scenario.places.find(largest.market, largest.path)
    return Problem(found.place, found.field, message, found.value)


def memory_of_machine() -> float:
    """Bytes that this machine, or the container, lets a process have; infinite where that cannot be told."""
    found = [float("inf")]
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    for file in CGROUP_LIMITS:
        try:
            found.append(float(Path(file).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(found)


def shown_bytes(size: float) -> str:
    """233 TiB."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} EiB"
