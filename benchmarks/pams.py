"""A whole simulation beside PAMS: its sample market of 100 traders and one order a step, here and there.

Times are CPU seconds; every round times both.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.environments import PeerMissing, run_driver
from benchmarks.rows import Row, missing
from marginquake.agents import AGENT_TYPES
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import release

SCENARIO = Path(__file__).with_name("fcn.yaml")
STEPS = 5_000
SETTLING_STEPS = 300


def measure(repeat: int, steps: int = STEPS) -> list[Row]:
    """Steps a second of both, and the ratio."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    try:
        for seed in range(1, repeat + 1):
            theirs.append(run_driver("pams", "drive_pams_sample.py", str(steps), str(seed)))
            ours.append(_ours(steps, seed))
    except PeerMissing as error:
        return [missing("PAMS", str(error))]
    rate = [run["steps"] / run["seconds"] for run in ours]
    peer = [run["steps"] / run["seconds"] for run in theirs]
    return [
        Row("marginquake, fcn.yaml", float(np.median(rate)), "steps/s", note=_traded(ours)),
        Row(f"PAMS {theirs[0]['version']}, CI2002", float(np.median(peer)), "steps/s", note=_traded(theirs)),
        Row("marginquake / PAMS", float(np.median([a / b for a, b in zip(rate, peer, strict=True)])), "x", 10, 25),
    ]


def _ours(steps: int, seed: int) -> dict[str, Any]:
    model = MarketModel(load_scenario(SCENARIO, AGENT_TYPES), AGENT_TYPES, seed=seed)
    try:
        for _ in range(SETTLING_STEPS):
            model.step()
        room = model.sessions[0]
        traders = room.participants[0].participant
        sent, settled_s = traders.sent, model.now_ns / 1e9
        started = time.process_time()
        for _ in range(steps):
            model.step()
        seconds = time.process_time() - started
        series = room.recorder.series()
        notional = float(series["volume"][series["time_s"] > settled_s].sum())
        volume = notional / room.venue.config.contract.initial_price
        return {"steps": steps, "seconds": seconds, "orders": traders.sent - sent, "volume": volume}
    finally:
        release(model)


def _traded(runs: list[dict[str, Any]]) -> str:
    orders, volume = (float(np.median([run[key] / run["steps"] for run in runs])) for key in ("orders", "volume"))
    return f"{orders:.2f} orders and {volume:.2f} lots traded a step"
