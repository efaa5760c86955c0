"""The scoreboard of stylised facts: is the simulated market like the real one?

    measurements = [measure(load_run(path)) for path in paths]
    print(to_markdown(scoreboard(measurements)))

A new fact: a function of `Observed` and a `Fact` in one of the family files (or in a file of its own, entered below).
Its band goes to analysis/facts/targets.json.  Needs the extra: pip install 'marginquake[facts]'.
"""

from importlib.util import find_spec
from typing import Final

from marginquake.analysis.facts import book, deleveraging, flow, returns, stress
from marginquake.analysis.facts.fact import Fact, Measurement, MissingExtra
from marginquake.analysis.facts.observed import Observed
from marginquake.analysis.facts.score_rows import FactRow, in_band_line, rows_of, to_csv, to_markdown
from marginquake.analysis.frames.run_frames import RunFrames

FAMILIES: Final = (returns, book, flow, stress, deleveraging)
FACTS: Final[dict[str, Fact]] = {fact.id: fact for family in FAMILIES for fact in family.FACTS}
"""Every fact by id, in the order of the scoreboard."""

METAORDER_GAP_S = 30.0

__all__ = [
    "FACTS",
    "Fact",
    "FactRow",
    "Measurement",
    "MissingExtra",
    "in_band_line",
    "measure",
    "need_extra",
    "scoreboard",
    "to_csv",
    "to_markdown",
]


def need_extra() -> None:
    """Raise `MissingExtra`, which says what to do, unless statsmodels and arch are installed."""
    missing = [name for name in ("statsmodels", "arch") if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{' and '.join(missing)} not installed: pip install 'marginquake[facts]'")


def measure(
    frames: RunFrames, market: str | None = None, metaorder_gap_s: float = METAORDER_GAP_S
) -> dict[str, Measurement]:
    """All facts of one run, by id; NaN with a reason where the run cannot answer.

    `market`: default the first.  `metaorder_gap_s`: a pause of one whale's account that ends its metaorder.
    """
    need_extra()
    observed = Observed(frames, frames.first if market is None else frames.markets[market], metaorder_gap_s)
    return {name: fact.measure(observed) for name, fact in FACTS.items()}


def scoreboard(measurements: list[dict[str, Measurement]]) -> list[FactRow]:
    """One row a fact over all runs: estimate, interval over runs, band, verdict."""
    return rows_of(FACTS, measurements)
