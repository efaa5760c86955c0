"""Times that do not come in this run: a shock after its end, an engine that never looks, a window that never closes."""

from collections.abc import Iterator
from typing import Any, Final

from marginquake.sim.core.fields import format_duration
from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.distributions import Distribution
from marginquake.sim.scenario.unlikely.look import MarketLook
from marginquake.sim.scenario.unlikely.sizes import percent
from marginquake.sim.scenario.yaml_tree import Path_

NEVER: Final[tuple[tuple[Path_, str], ...]] = (
    (("liquidation", "monitor_period"), "the engine does not look once: nobody is sold out"),
    (("liquidation", "latency"), "no liquidation order arrives"),
    (("venue", "mark", "period"), "the mark stays what it is at the start: nobody is called"),
    (("venue", "oracle", "delay"), "the venue sees the first price and no other"),
    (("venue", "call", "window"), "nobody who is called is sold out before the run is over"),
    (("venue", "call", "grace"), "nobody who is called is sold out before the run is over"),
    (("venue", "maintenance", "update_every"), "margins never move"),
    (("venue", "initial", "update_every"), "margins never move"),
    (("venue", "circuit_breaker", "window"), "every move of the run is within it"),
)
"""Durations of a market that mean something else where they are longer than the run."""
NEVER_OF_A_POPULATION: Final[tuple[tuple[str, str], ...]] = (
    ("latency", "no order of theirs arrives"),
    ("data_latency", "they see nothing of the run"),
    ("decision_interval", "they decide no more than once"),
    ("reaction", "they react to nothing"),
    ("fill_after", "the book is never filled"),
)
RECORDED: Final = ("series_every", "map_every")


def check(look: MarketLook) -> Iterator[ScenarioWarning]:
    """Shocks against the end of the run, then everything that is longer than it."""
    yield from _shocks(look)
    end, whole = look.head.duration, look.head.duration + look.head.warmup
    for path, meaning in NEVER:
        value: Any = look.market
        for key in path:
            value = getattr(value, str(key), None)
        if isinstance(value, int) and value > end:
            yield _longer(look, path, value, meaning)
    for name, (_, config) in look.populations.items():
        for field, meaning in NEVER_OF_A_POPULATION:
            value = _least(getattr(config, field, None))
            if value is not None and value > whole and look.is_written(("populations", name, field)):
                yield _longer(look, ("populations", name, field), value, meaning)
    for field in RECORDED:
        value = getattr(look.head.record, field)
        if value > end and look.is_written(("record", field)):
            yield _longer(look, ("record", field), value, "only the start is recorded")


def _shocks(look: MarketLook) -> Iterator[ScenarioWarning]:
    end = look.head.duration
    for position, shock in enumerate(look.market.index.shocks):
        path = ("index", "shocks", position)
        if shock.at >= end:
            message = f"begins when the run is over ({format_duration(end)}): it never comes"
            yield look.warn("after_the_end", (*path, "at"), message, "make `duration` longer, or `at` earlier")
        elif shock.at + shock.over > end:
            seen = shock.log_return * (end - shock.at) / shock.over
            message = (
                f"goes on after the end of the run ({format_duration(end)}): of its {percent(shock.log_return)} "
                f"it reaches {percent(seen)}"
            )
            yield look.warn(
                "after_the_end", (*path, "over"), message, "make `duration` longer, or `at` earlier",
                format_duration(shock.over),
            )  # fmt: skip


def _longer(look: MarketLook, path: Path_, value_ns: int, meaning: str) -> ScenarioWarning:
    message = f"is longer than the run ({format_duration(look.head.duration)}): {meaning}"
    return look.warn("longer_than_the_run", path, message, "make it shorter, or `duration` longer",
                     format_duration(value_ns))  # fmt: skip


def _least(value: Any) -> int | None:
    """The least a duration can be, ns."""
    if isinstance(value, Distribution):
        return int(value.support()[0])
    return value if isinstance(value, int) and not isinstance(value, bool) else None
