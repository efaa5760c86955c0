"""What a step costs, and what an account weighs, at 10^4, 10^5 and 10^6 accounts of the same activity.

The market of `million_accounts`; the crowd's habits are slower the larger it is, so that about WAKES accounts wake in
a step whatever their number, and their orders are as large.  Nobody is near a margin call.  Each size is a process of
its own, for its memory; sizes take turns, for the machine's moods.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.rows import Row

SCENARIO = Path(__file__).parents[1] / "scenarios" / "million_accounts.yaml"
SIZES = (10_000, 100_000, 1_000_000)
WAKES = 1000
STEP_S = 0.1
SETTLING_STEPS = 100
STEPS = 50


def overrides(accounts: int) -> list[str]:
    """The crowd: half of it holds a position at 2x, mean waits such that WAKES of its clocks ring in a step."""
    wait_s = accounts * STEP_S / WAKES
    crowd = {
        "accounts": accounts,
        "leverage": 2,
        "deposit": 400,
        "long_share": 0.5,
        "stop_share": 0,
        "initial_open_fraction": 0.5,
        "entry_time": f"{wait_s:g}s",
        "exit_time": f"{wait_s:g}s",
    }
    settings = [f"populations.longs.{key}={value}" for key, value in crowd.items()]
    return ["fuel_ratio=null", "index.shocks=[]", "warmup=1s", "record.series_every=1s", *settings]


def main() -> int:
    """One size, in this process: prints JSON with seconds of building, microseconds a step and resident bytes."""
    from marginquake.agents import AGENT_TYPES
    from marginquake.sim.model.model import MarketModel
    from marginquake.sim.scenario.loader import load_scenario

    accounts, blocks = int(sys.argv[1]), int(sys.argv[2])
    scenario = load_scenario(SCENARIO, AGENT_TYPES, overrides(accounts))
    started = time.perf_counter()
    model = MarketModel(scenario, AGENT_TYPES)
    built_s = time.perf_counter() - started
    for _ in range(SETTLING_STEPS):
        model.step()
    events = model.recorder.progress().events
    costs = []
    for _ in range(blocks):
        started = time.perf_counter()
        for _ in range(STEPS):
            model.step()
        costs.append((time.perf_counter() - started) / STEPS)
    events = model.recorder.progress().events - events
    found = {
        "built_s": built_s,
        "step_us": float(np.median(costs)) * 1e6,
        "events": events / (blocks * STEPS),
        "resident": _resident_bytes(),
    }
    print(json.dumps(found))
    return 0


def measure(repeat: int) -> list[Row]:
    """A row for the cost of a step at each size, for its growth, and for the weight of an account."""
    found: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    for _ in range(repeat):
        for size in SIZES:
            found[size].append(_child(size))
    middle = {
        size: {key: float(np.median([one[key] for one in runs])) for key in runs[0]} for size, runs in found.items()
    }
    rows = [
        Row(f"step, {size:,} accounts", at["step_us"], "us", note=f"{at['events']:.0f} events a step")
        for size, at in middle.items()
    ]
    least, _, most = SIZES
    growth = [b["step_us"] / a["step_us"] for a, b in zip(found[least], found[most], strict=True)]
    rows.append(Row("step, 10^6 accounts / 10^4", float(np.median(growth)), "x", 2.5, 2.0))
    bytes_each = (middle[most]["resident"] - middle[least]["resident"]) / (most - least)
    rows.append(Row("memory an account", bytes_each, "B", 256, 128, "resident, all structures, after 350 steps"))
    rows.append(Row("build the model, 10^6 accounts", middle[most]["built_s"], "s"))
    return rows


def _child(accounts: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scaling", str(accounts), "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=SCENARIO.parents[1])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    raise SystemExit(main())
