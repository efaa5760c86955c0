"""docs/venues_compared.md: one shock under the rules of each venue of scenarios/venues/.

`python -m benchmarks.venues [NAME...] [--seeds N]` runs what is missing of the comparisons named (default all) of
scenarios/venues_compared/ below runs/sweeps/, and writes the document with its figures from all that are finished.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparisons import document
from benchmarks.studies.runs import ROOT
from marginquake.analysis import formats
from marginquake.analysis.presentation.png import render
from marginquake.analysis.studies.comparison import (
    Comparison,
    compare,
    draw_levels,
    levels_height_inches,
    levels_markdown,
)

FOLDER = ROOT / "scenarios" / "venues_compared"
NAMES = ("as_allowed", "same_positions")
HEAD = """# Venues compared

Written by `python -m benchmarks.venues`; do not edit. The same populations, draws and outside path under the rules of
each venue of [scenarios/venues](../scenarios/venues/README.md) (what is modelled of each: [venues.md](venues.md)); how
they are laid over one market: [scenarios/venues_compared](../scenarios/venues_compared/README.md). Means over seeds
with 95 % intervals (docs/intervals.md), and below each the paired difference from the first venue.

"""


def section(comparison: Comparison, images: Path) -> str:
    """Question, table, figure, verdicts in words."""
    title = comparison.name.replace("_", " ")
    picture = images / f"venues_{comparison.name}.png"
    source = f"{comparison.name}  {formats.plural(len(comparison.seeds), 'seed')}"
    render(lambda figure: draw_levels(comparison, figure), picture, levels_height_inches(comparison), False, source)
    lines = [f"## {title[:1].upper()}{title[1:]}", "", comparison.question, ""]
    lines += [f"{formats.plural(len(comparison.seeds), 'seed')}, the same for every venue.", ""]
    lines += [levels_markdown(comparison), f"![{title}](images/{picture.name})", ""]
    lines += [f"* {pair.sentence}" for pair in compare(comparison)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return document(FOLDER, "venues_compared.md", HEAD, __doc__, section, NAMES, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
