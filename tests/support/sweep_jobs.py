"""What workers do in tests of the sweep engine: importable, and without a market."""

import json
import os
import tempfile
import time
from pathlib import Path

from marginquake.sim.studies.sweep_directory import pack


def finished(text: str, run: str, seed: int) -> bytes:
    """A complete run directory with nothing but a summary: the seed, and the length of the scenario's text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "manifest.json").write_text(json.dumps({"status": "complete", "run": run}))
        (path / "summary.json").write_text(json.dumps({"seed": seed, "value": float(len(text)), "wall_seconds": 1.0}))
        return pack(path)


def fails_on_odd_seeds(text: str, run: str, seed: int) -> bytes:
    """Half of the runs always fail."""
    if seed % 2:
        raise ZeroDivisionError(f"seed {seed} is odd")
    return finished(text, run, seed)


def kills_its_first_worker(text: str, run: str, seed: int) -> bytes:
    """Seed 3 takes the whole worker down the first time; `text` names a folder where that is remembered."""
    mark = Path(text) / f"tried-{seed}"
    if seed == 3 and not mark.exists():
        mark.write_text("")
        os._exit(1)
    return finished("", run, seed)


def slowly(text: str, run: str, seed: int) -> bytes:
    """Takes a fifth of a second."""
    time.sleep(0.2)
    return finished(text, run, seed)
