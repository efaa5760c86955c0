"""docs/images/watch.svg: what `marginquake watch` shows in the middle of a cascade.

`python -m benchmarks.watch_picture`: runs the scenario up to a moment and exports the picture as rich draws it, without
the web fonts that rich's own SVG would ask for.
"""

import argparse
import io
import re
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.studies.runs import ROOT
from marginquake.agents import AGENT_TYPES
from marginquake.sim.cli.watch.screen import Pace, render
from marginquake.sim.cli.watch.watcher import Watcher
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs.event_log import NoLog
from marginquake.sim.studies import run as running

WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", type=Path, default=ROOT / "scenarios" / "long_squeeze.yaml")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--at", type=float, default=250.0, metavar="S", help="simulated seconds")
    parser.add_argument("--width", type=int, default=120)
    parser.add_argument("--height", type=int, default=34)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "watch.svg")
    given = parser.parse_args(arguments)
    watcher = Watcher()
    loaded = running.load_scenario(given.scenario)
    model = MarketModel(loaded, AGENT_TYPES, given.seed, open_log=watcher.open_log(NoLog))
    watcher.look(model)
    began = time.perf_counter()
    while model.now_ns < given.at * 1e9:
        if model.now_ns == 0:
            began = time.perf_counter()
        model.step()
        watcher.look(model)
    pace = Pace(given.at / (time.perf_counter() - began))
    console = Console(record=True, width=given.width, height=given.height, force_terminal=True, file=io.StringIO())
    console.print(render(watcher.frame(model), pace, given.width, given.height))
    svg = console.export_svg(title=f"marginquake watch scenarios/{given.scenario.name}")
    given.output.write_text(WEB_FONT.sub("", svg), encoding="utf-8")
    print(given.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
