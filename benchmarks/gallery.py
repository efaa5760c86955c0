"""The pictures of docs/gallery.md, made again: every scenario once (seed 1), and what `make validate` has kept.

`python -m benchmarks.gallery [NAME...]` runs the scenarios named (default all; days at 1-s steps take minutes) and
writes docs/images/.  The figures over many seeds come from runs/validation/, where `make validate` leaves its runs.
"""

import argparse
import pickle
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.studies.runs import OFF, ROOT
from marginquake.analysis.figures.draw import plot_facts, plot_run
from marginquake.analysis.studies.twins.figure import plot_twin
from marginquake.sim.studies import run as running

IMAGES = ROOT / "docs" / "images"
PICTURES: Mapping[str, Mapping[str, str]] = {
    "long_squeeze": {"price": "long_squeeze_price", "liquidation_map": "long_squeeze_map",
                     "liquidity": "long_squeeze_liquidity", "levels": "long_squeeze_levels",
                     "forecast": "long_squeeze_forecast"},
    "dispersed_control": {"liquidation_map": "dispersed_control_map"},
    "short_squeeze": {"price": "short_squeeze_price"},
    "thin_book": {"price": "thin_book_price", "liquidity": "thin_book_liquidity"},
    "adl_stress": {"price": "adl_stress_price", "losses": "adl_stress_losses"},
    "stop_hunt_levels": {"round_prices": "stop_hunt_round_prices"},
    "calm_market": {"price": "calm_price", "book_heatmap": "calm_book", "liquidity": "calm_liquidity",
                    "returns": "calm_returns"},
    "crash_2024_08_05": {},
    "everyday_market": {"price": "everyday_price", "losses": "everyday_losses", "returns": "everyday_returns"},
    "re_leveraging_cycle": {"crowd": "re_leveraging_crowd"},
}  # fmt: skip
"""Figure -> image, by scenario."""
TWINS = {"long_squeeze": "long_squeeze_twin", "crash_2024_08_05": "crash_twin"}
"""Scenarios that are also run without forced orders, and the image that lays one over the other."""


def draw(scenario: str, folder: Path) -> None:
    """Run one scenario and put its pictures in their place."""
    file = ROOT / "scenarios" / f"{scenario}.yaml"
    made = running.run(file, seed=1, out=folder, figures=False).path
    for figure, image in PICTURES[scenario].items():
        (path,) = plot_run(made, figure)
        shutil.copy(path, IMAGES / f"{image}.png")
        print(f"{image}.png", flush=True)
    if scenario in TWINS:
        twin = running.run(running.load_scenario(file, [OFF]), seed=1, out=folder, figures=False).path
        plot_twin(made, twin, IMAGES / f"{TWINS[scenario]}.png")
        print(f"{TWINS[scenario]}.png", flush=True)


def draw_facts(kept: Path) -> None:
    """Tails and memory over all seeds of the everyday study."""
    runs, _, _ = pickle.loads(kept.read_bytes())
    measured = [run["facts"] for run in runs.values()]
    plot_facts(measured, IMAGES / "everyday_facts.png", f"everyday_market  {len(measured)} seeds")
    print("everyday_facts.png", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], metavar="NAME")
    parser.add_argument("--kept", type=Path, default=ROOT / "runs" / "validation", help="runs kept by make validate")
    given = parser.parse_args(arguments)
    for scenario in given.names or PICTURES:
        with tempfile.TemporaryDirectory(prefix="marginquake-") as folder:
            draw(scenario, Path(folder))
    if (given.kept / "everyday.pickle").is_file():
        draw_facts(given.kept / "everyday.pickle")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
