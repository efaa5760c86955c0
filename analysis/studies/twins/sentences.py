"""A twin result as a table and a few plain sentences."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.facts.fact import targets
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import LEAST_VALUES
from marginquake.analysis.studies.twins.effects import Effect
from marginquake.analysis.studies.twins.result import TwinResult
from marginquake.sim.core.price_moves import Direction, from_start, largest_fall, largest_rise
from marginquake.sim.core.typing import Floats

BAND: Final = "A"
"""Id of the band of ordinary amplification in targets.json."""
CELL_HEADINGS: Final = ("market", "mean {move} from the start, %", "smallest", "largest")
EFFECT_HEADINGS: Final = (
    "what it did",
    "with the others",
    "amplification",
    "share of the {move}, %",
    "points",
    "seeds",
)

Describe = Callable[[Sequence[str]], str]
"""Names of mechanisms -> words, `forced orders and stops`."""


def cell_rows(result: TwinResult, describe: Describe) -> list[tuple[str, ...]]:
    """One row a cell: what was off, and the moves over seeds; of one seed its only move (`cell_headings`)."""
    rows: list[tuple[str, ...]] = []
    for cell in result.cells:
        moves = 100 * np.array(cell.moves)
        name = f"without {describe(cell.without)}" if cell.without else "everything on"
        columns = (moves.mean(), moves.min(), moves.max()) if len(moves) > 1 else moves
        rows.append((name, *(f"{move:.2f}" for move in columns)))
    return rows


def cell_headings(result: TwinResult) -> list[str]:
    """Headings over `cell_rows`."""
    several = len(result.seeds) > 1
    return headings(result, CELL_HEADINGS if several else ("market", "{move} from the start, %"))


def effect_rows(result: TwinResult, describe: Describe) -> list[tuple[str, ...]]:
    """One row an effect: amplification, share and points with their intervals."""
    return [
        (
            describe(effect.of),
            f"{describe(effect.given)} off" if effect.given else "as they are",
            written(effect.amplification),
            written(effect.share, scale=100, digits=0),
            written(effect.points, scale=100, signed=True),
            str(effect.n),
        )
        for effect in result.effects
    ]


def headings(result: TwinResult, names: Sequence[str]) -> list[str]:
    """Headings of a table for falls or rises."""
    return [name.format(move=result.direction) for name in names]


def sentences(result: TwinResult, describe: Describe) -> list[str]:
    """What was found, what it is made of, and what to doubt."""
    first = result.effects[0]
    lines = [_finding(result, first, describe)]
    if math.isfinite(result.forced_volume_share.value) and "liquidation" in result.without:
        lines.append(
            f"On the way, {written(result.forced_volume_share, scale=100, digits=0)} % of what takers "
            f"{'sold' if result.direction == 'fall' else 'bought'} was forced and "
            f"{written(result.stop_volume_share, scale=100, digits=0)} % came from stops."
        )
    for effect in result.effects[1:]:
        if effect.of == first.of and effect.given and math.isfinite(effect.amplification.value):
            off = describe(effect.given)
            lines.append(
                f"With {off} off in both: {written(effect.amplification)} times, {written(effect.share, 100, 0)} %."
            )
    if result.without == ("liquidation",) and first.n:
        lines += _against_the_band(first)
    if first.n < len(result.seeds):
        past, left = "fell below" if result.direction == "fall" else "rose above", len(result.seeds) - first.n
        lines.append(f"On {left} of {len(result.seeds)} seeds one of the two never {past} its start.")
    return lines


def two_sizes(direction: Direction, last: Floats) -> str:
    """Why `show` and `list` tell another size of the same move; empty where both are one."""
    own, largest = from_start(last, direction), (largest_fall if direction == "fall" else largest_rise)(last).fraction
    if formats.percent(own) == formats.percent(largest):
        return ""
    end = "peak" if direction == "fall" else "low"
    return f"The {direction} counts from the start price; the largest from a {end} was {formats.percent(largest)}."


def written(estimate: Estimate, scale: float = 1.0, digits: int = 2, signed: bool = False) -> str:
    """`2.52 [2.41, 2.64]`; without an interval where there is none."""
    sign = "+" if signed else ""
    if not math.isfinite(estimate.value):
        return "n.a."
    text = f"{scale * estimate.value:{sign}.{digits}f}"
    if not estimate.has_interval:
        return text
    return f"{text} [{scale * estimate.low:{sign}.{digits}f}, {scale * estimate.high:{sign}.{digits}f}]"


def _finding(result: TwinResult, effect: Effect, describe: Describe) -> str:
    name = describe(effect.of)
    name = name[0].upper() + name[1:]
    count = len(result.seeds)
    over = f"seed {result.seeds[0]}, no interval from one" if count == 1 else formats.plural(count, "seed")
    if 1 < count < LEAST_VALUES:
        over += f", no interval below {LEAST_VALUES}"
    if result.without == ("nothing",):
        return f"With nothing changed the events are the same ({over.split(',')[0]})."
    if all(digest == other for digest, other in zip(result.cells[0].digests, result.cells[1].digests, strict=True)):
        return f"{name} never came into play: without, every event is the same ({over.split(',')[0]})."
    if effect.unchanged == count:
        return f"{name} changed nothing here: the {result.direction} is the same without ({over.split(',')[0]})."
    amplification = effect.amplification
    if not math.isfinite(amplification.value):
        return f"{name}: no ratio, since on no seed did the price {result.direction} both with and without."
    deep = "deep" if result.direction == "fall" else "high"
    text = f"{name} made the {result.direction} {written(amplification)} times as {deep} ({over})"
    if amplification.has_interval and amplification.low <= 1.0 <= amplification.high:
        return f"{text}: that it changes the {result.direction} cannot be told."
    if amplification.value > 1.0:
        return f"{text}: {written(effect.share, scale=100, digits=0)} % of it is theirs."
    return f"{text}: it is smaller with them." if amplification.has_interval else f"{text}."


def _against_the_band(effect: Effect) -> list[str]:
    """Ordinary amplification outside its band is a reason to doubt the scenario."""
    band = targets()[BAND]
    if band.lo <= effect.amplification.value <= band.hi:
        return []
    return [
        f"Ordinary events lie at {band.lo:g}-{band.hi:g} (grade {band.grade}): below, forced orders hardly count here; "
        "above, ask what is wrong with the scenario before you believe it."
    ]
