"""docs/venues_compared.md: one shock under the rules of each venue of scenarios/venues/.

`python -m benchmarks.venues [NAME...] [--seeds N]` runs what is missing of the comparisons named (default all) of
scenarios/venues_compared/ below runs/sweeps/, and writes the document with its figures from all that are finished.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from analysis import style
from analysis.comparison import (
    Comparison,
    compare,
    draw_levels,
    levels_height_inches,
    levels_markdown,
    load_comparison,
)
from analysis.plots import render
from benchmarks.studies.runs import ROOT
from sim import sweep_api
from sim.sweep_directory import is_sweep
from sim.sweep_file import load_comparison as load_file
from sim.version import MODEL_VERSION

FOLDER = ROOT / "scenarios" / "venues_compared"
NAMES = ("as_allowed", "same_positions")
HEAD = """# Venues compared

Written by `python -m benchmarks.venues`; do not edit. The same populations, draws and outside path under the rules of
each venue of [scenarios/venues](../scenarios/venues/README.md) (what is modelled of each: [venues.md](venues.md)); how
they are laid over one market: [scenarios/venues_compared](../scenarios/venues_compared/README.md). Means over seeds
with 95 % intervals (BCa bootstrap), and below each the paired difference from the first venue.

"""


def run(name: str, out: Path, workers: int, seeds: int | None) -> None:
    """Make what is missing of one comparison."""
    plan = sweep_api.plan_sweep(load_file(FOLDER / f"{name}.yaml", seeds))
    result = sweep_api.run_sweep(plan, out, workers, resume=True)
    print(f"{name}: {result.made} runs made, {len(result.failures)} failed", flush=True)


def section(comparison: Comparison, images: Path) -> str:
    """Question, table, figure, verdicts in words."""
    title = comparison.name.replace("_", " ")
    picture = images / f"venues_{comparison.name}.png"
    source = f"{comparison.name}  {style.plural(len(comparison.seeds), 'seed')}"
    render(lambda figure: draw_levels(comparison, figure), picture, levels_height_inches(comparison), False, source)
    lines = [f"## {title[:1].upper()}{title[1:]}", "", comparison.question, ""]
    lines += [f"{style.plural(len(comparison.seeds), 'seed')}, the same for every venue.", ""]
    lines += [levels_markdown(comparison), f"![{title}](images/{picture.name})", ""]
    lines += [f"* {pair.sentence}" for pair in compare(comparison)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seeds", type=int, default=None, help="seeds 1 to this instead of the files'")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "runs")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "venues_compared.md")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error(f"no such comparison: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in given.names or NAMES:
        run(name, given.out, given.workers, given.seeds)
    finished = [sweep_api.sweep_path(given.out, name) for name in NAMES]
    images = given.output.parent / "images"
    sections = [section(load_comparison(path), images) for path in finished if is_sweep(path)]
    given.output.write_text(f"{HEAD}Model version {MODEL_VERSION}.\n\n" + "\n".join(sections), encoding="utf-8")
    print(given.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
