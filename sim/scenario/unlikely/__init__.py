"""What is valid but hardly meant: warnings of a scenario before it runs, and of what its first minutes measured.

One file a kind; docs/warnings.md lists every name with its reason.
"""

from collections.abc import Callable, Iterator
from typing import Final

from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.unlikely import ladder_reach, leverage, no_effect, sizes, times, traders
from marginquake.sim.scenario.unlikely.look import MarketLook

CHECKS: Final[tuple[Callable[[MarketLook], Iterator[ScenarioWarning]], ...]] = (
    sizes.check,
    times.check,
    ladder_reach.check,
    leverage.check,
    traders.check,
    no_effect.check,
)
"""A new kind of warning is one function here."""


def warnings_of(look: MarketLook) -> Iterator[ScenarioWarning]:
    """Everything unlikely about one market that can be known before it runs."""
    for check in CHECKS:
        yield from check(look)
