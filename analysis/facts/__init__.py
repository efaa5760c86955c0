"""The scoreboard of stylised facts: is the simulated market like the real one?

    measurements = [measure(load_run(path)) for path in paths]
    print(to_markdown(scoreboard(measurements)))

Beside a price series of one's own, by the same estimators at the same bars:

    print("\n".join(against([load_run(path) for path in paths], PriceSeries(times_ns, prices)).sentences))

A new fact: a function of `Observed` and a `Fact` in one of the family files (or in a file of its own, entered below).
Its band goes to analysis/facts/targets.json.  Needs the extra: pip install 'marginquake[facts]'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, final

from marginquake.analysis.facts import beside_tables, book, deleveraging, flow, returns, stress
from marginquake.analysis.facts.beside import BesideRow, Side, measure_beside, sides
from marginquake.analysis.facts.fact import Fact, Measurement, MissingExtra
from marginquake.analysis.facts.observed import Observed
from marginquake.analysis.facts.price_bars import (
    NotBars,
    PriceSeries,
    bars_of_file,
    bars_of_run,
    every_s_of_run,
)
from marginquake.analysis.facts.prices import MINUTE_S, time_text
from marginquake.analysis.facts.score_rows import FactRow, in_band_line, rows_of, to_csv, to_markdown
from marginquake.analysis.frames.run_frames import RunFrames

FAMILIES: Final = (returns, book, flow, stress, deleveraging)
FACTS: Final[dict[str, Fact]] = {fact.id: fact for family in FAMILIES for fact in family.FACTS}
"""Every fact by id, in the order of the scoreboard."""

METAORDER_GAP_S = 30.0

__all__ = [
    "FACTS",
    "Beside",
    "Fact",
    "FactRow",
    "Measurement",
    "MissingExtra",
    "NotBars",
    "PriceSeries",
    "against",
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


@final
@dataclass(frozen=True)
class Beside:
    """Runs beside a price series: a row a fact, how they were laid side by side, and what it comes to."""

    rows: list[BesideRow]
    runs: Side | None
    file: Side
    remarks: list[str]
    details: list[str]
    summary: str


def against(
    runs: Sequence[RunFrames],
    series: PriceSeries,
    bar_s: float | None = None,
    fill_s: float = 0.0,
    market: str | None = None,
) -> Beside:
    """Every fact that prices and volumes can answer, of the runs (none: of the series alone) and of a real series.

    Both at bars of `bar_s` seconds; default the series' own, or the sampling of the runs where that is coarser.  What
    the scoreboard defines at a finer scale is not measured at another; the same estimators at the scale of the bars
    stand beside.  `fill_s`: gaps up to this long are bars without trades.  `market`: of the runs; default their first.
    Raises `NotBars`, and `Unmeasurable` for runs that cannot be sampled so.
    """
    need_extra()
    file, said = bars_of_file(series, bar_s, fill_s)
    markets = [frames.first if market is None else frames.markets[market] for frames in runs]
    coarsest_s = max(map(every_s_of_run, markets), default=0.0)
    if bar_s is None and coarsest_s > file.bar_s * (1 + 1e-6):
        said.append(f"file sampled every {time_text(coarsest_s)} like the runs, from {time_text(file.bar_s)} bars")
        file = file.sampled(coarsest_s)
    ours, real = sides([bars_of_run(each, file.bar_s) for each in markets], file)
    facts = [*FACTS.values(), *returns.facts_at(max(file.bar_s, MINUTE_S))]
    rows = measure_beside(facts, ours, real)
    of_books = sum(fact.of_prices is None for fact in FACTS.values())
    return Beside(
        rows, ours, real, [*beside_tables.remarks(ours, real), *said],
        beside_tables.details(rows, ours), beside_tables.summary(rows, ours, real, of_books),
    )  # fmt: skip
