"""How far the outside price goes by what is declared (shocks, replay, drift, volatility), and a ladder that holds it.

The ladder is an array of price levels from one tick to `max_price_multiple` times the initial price.  A price beyond it
cannot be traded or marked: the mark stands still at its end, and one side of the book is empty.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, final

from marginquake.sim.assets.fundamentals import YEAR_SECONDS, GbmConfig
from marginquake.sim.assets.price_path import PricePathError, ReplayConfig, load_price_path
from marginquake.sim.core.contract import ContractConfig
from marginquake.sim.core.data_files import DataFileChanged
from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.integers.limits import BYTES_A_TICK, MOST_TICKS
from marginquake.sim.core.numbers import short_number
from marginquake.sim.core.problems import Problem
from marginquake.sim.scenario.config import MarketConfig, ScenarioHead
from marginquake.sim.scenario.places import Places
from marginquake.sim.scenario.yaml_tree import Path_

FIELD: Final[Path_] = ("contract", "max_price_multiple")
DEFAULT_MULTIPLE: Final = float(ContractConfig().max_price_multiple)
SIGMAS: Final = 4.0
"""What chance may add to the declared path: four standard deviations of it."""
HEADROOM: Final = 1.05
"""What a written ladder has to leave above the highest declared point, for bridges and the market to move in."""
OWN_HEADROOM: Final = 1.25
"""What a ladder leaves that is chosen here: a squeeze may carry the contract far above its index."""
MOST_BYTES: Final = 512_000_000
"""Memory that a ladder chosen here may take; a larger one has to be asked for."""


@final
@dataclass(frozen=True, slots=True)
class PriceRange:
    """Prices in quote units.  `highest`, `lowest`: of the declared path, without chance.  `likely_*`: with four
    standard deviations of it on top.  `by`: what takes it there, with its verb: 'the shocks take the price'."""

    initial: float
    highest: float
    lowest: float
    likely_highest: float
    likely_lowest: float
    by: str
    is_replay_alone: bool


def declared_range(market: MarketConfig, head: ScenarioHead) -> PriceRange | None:
    """The range of a market's outside price in [0, duration]; None where a fundamental of the user's makes it, or its
    file cannot be read."""
    config: Any = market.index.fundamental
    if isinstance(config, ReplayConfig):
        try:
            path = load_price_path(config, Path())
        except (PricePathError, DataFileChanged):
            return None
        factor = market.contract.initial_price / path.prices[0] if config.rescale else 1.0
        points = [
            (time_ns, math.log(price * factor))
            for time_ns, price in zip(path.times_ns, path.prices, strict=True)
            if time_ns <= head.duration
        ]
        longest_s = max((b[0] - a[0] for a, b in pairwise(points)), default=0) / SECOND
        spread = config.bridge_volatility * math.sqrt(longest_s / 4 / YEAR_SECONDS)
        return _range(market, head, points, lambda _: spread, "the replay")
    if isinstance(config, GbmConfig):
        variance = config.volatility**2
        drift = config.drift - 0.5 * variance
        if config.jumps is not None:
            jumps = config.jumps
            a_year = jumps.per_day * 365
            variance += a_year * (jumps.mean**2 + jumps.deviation**2)
            drift += a_year * (jumps.mean - math.expm1(min(jumps.mean + 0.5 * jumps.deviation**2, 700.0)))
        start = math.log(market.contract.initial_price)
        ends = [(time_ns, start + drift * _years(time_ns)) for time_ns in (0, head.duration)]
        return _range(market, head, ends, lambda time_ns: math.sqrt(variance * _years(time_ns)), "its drift alone")
    return None


def widened(market: MarketConfig, head: ScenarioHead, places: Places) -> tuple[MarketConfig, str | None]:
    """The market with a ladder that holds its declared path, where the scenario leaves the ladder to us; and a note.

    Nothing changes where the default ladder is wide enough, or where more than `MOST_BYTES` would be needed.
    """
    contract = market.contract
    if places.find(market.name, FIELD).is_written:
        return market, None
    reach = declared_range(market, head)
    if reach is None or HEADROOM * reach.likely_highest < contract.max_price_multiple * reach.initial:
        return market, None
    for highest in (reach.likely_highest, reach.highest):
        multiple = rounded_up(OWN_HEADROOM * highest / reach.initial)
        ticks = multiple * contract.initial_price / contract.tick_size
        memory = ticks * BYTES_A_TICK
        if multiple <= contract.max_price_multiple or not (ticks <= MOST_TICKS and memory <= MOST_BYTES):
            continue
        wider = market.model_copy(update={"contract": contract.model_copy(update={"max_price_multiple": multiple})})
        note = (
            f"{market.name}: the ladder of prices ends at {multiple:g} times initial_price "
            f"({multiple * contract.initial_price:,.6g}) instead of {contract.max_price_multiple:g}, since {reach.by} "
            f"to {reach.highest:,.6g}; it takes {short_number(memory / 1e6)} MB"
        )
        return wider, note
    return market, None


def check_range(market: MarketConfig, head: ScenarioHead, places: Places) -> Iterator[Problem]:
    """A declared path that leaves the ladder for certain."""
    reach = declared_range(market, head)
    if reach is None:
        return
    contract = market.contract
    by = reach.by
    if reach.highest >= contract.initial_price * contract.max_price_multiple:
        needed = rounded_up(HEADROOM * reach.highest / reach.initial)
        rises = "the replay rises" if reach.is_replay_alone else by
        message = (
            f"{rises} to {_price(reach.highest)}, {reach.highest / reach.initial:.3g} times initial_price; "
            f"write {needed:g} or more"
        )
        memory = needed * contract.initial_price / contract.tick_size * BYTES_A_TICK
        if memory > MOST_BYTES:
            message += f" ({short_number(memory / 1e6)} MB of memory), or a larger tick_size, or a smaller move"
        yield _problem(places, market, FIELD, message, f"{contract.max_price_multiple:g}")
    if reach.lowest < contract.tick_size:
        falls = "the replay falls" if reach.is_replay_alone else by
        message = f"{falls} to {_price(reach.lowest)}, less than one tick"
        yield _problem(places, market, ("contract", "tick_size"), message, f"{contract.tick_size:g}")


def _range(market: MarketConfig, head: ScenarioHead, points: Any, spread: Any, what: str) -> PriceRange:
    """The path through `points` (time ns, log price), straight between them, with the shocks on top."""
    shocks = [shock for shock in market.index.shocks if shock.at < head.duration]
    times = {time_ns for shock in shocks for time_ns in (shock.at, min(shock.at + shock.over, head.duration))}
    times |= {time_ns for time_ns, _ in points}
    path: list[tuple[float, float]] = []
    following = 0
    for time_ns in sorted(times):
        while following < len(points) - 1 and points[following][0] < time_ns:
            following += 1
        log = _between(points[max(following - 1, 0)], points[following], time_ns)
        for shock in shocks:
            log += shock.log_return * min(max((time_ns - shock.at) / shock.over, 0.0), 1.0)
        path.append((log, SIGMAS * spread(time_ns)))
    is_replay = what == "the replay"
    declared = [what] if is_replay or not shocks else []
    names = [*declared, *(["the shocks"] if shocks else [])]
    return PriceRange(
        initial=market.contract.initial_price,
        highest=_exp(max(log for log, _ in path)),
        lowest=_exp(min(log for log, _ in path)),
        likely_highest=_exp(max(log + more for log, more in path)),
        likely_lowest=_exp(min(log - more for log, more in path)),
        by=f"{' and '.join(names)} {'take' if names[-1] == 'the shocks' else 'takes'} the price",
        is_replay_alone=is_replay and not shocks,
    )


def _between(one: tuple[int, float], other: tuple[int, float], time_ns: int) -> float:
    if other[0] <= one[0] or time_ns >= other[0]:
        return other[1]
    return one[1] + (other[1] - one[1]) * max(0.0, (time_ns - one[0]) / (other[0] - one[0]))


def _problem(places: Places, market: MarketConfig, path: Path_, message: str, value: str) -> Problem:
    found = places.find(market.name, path)
    shown = found.value if found.is_written else f"{value} (the default)"
    return Problem(found.place, found.field, message, shown)


def rounded_up(multiple: float) -> float:
    """A multiple of the initial price to a tenth; to two digits where it is large."""
    if multiple < 1000:
        return math.ceil(round(10 * multiple, 6)) / 10
    digit = 10.0 ** (math.floor(math.log10(multiple)) - 1)
    return math.ceil(multiple / digit) * digit


def _price(price: float) -> str:
    return f"{price:g}"


def _exp(log: float) -> float:
    return math.exp(min(log, 700.0))


def _years(time_ns: int) -> float:
    return time_ns / SECOND / YEAR_SECONDS
