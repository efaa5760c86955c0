"""A mechanism of a market that can be switched off by its scenario."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from sim.scenario import Scenario


class Absent(ValueError):
    """The scenario has no such mechanism; the message says so and what it has."""


@final
@dataclass(frozen=True, slots=True)
class Mechanism:
    """`says`: what is off, in words.  `changes`: by path, the fields of a scenario that switch it off.

    `changes` raises `Absent` for a scenario without the mechanism.  `moves_start`: t = 0 may not find the market as it
    was; sizes of positions are then those of the run with everything, not solved for anew.
    """

    name: str
    says: str
    changes: Callable[[Scenario], Mapping[str, Any]]
    moves_start: bool = True


def market_path(scenario: Scenario, market: str, field: str) -> str:
    """Path of a market's field in the resolved scenario."""
    return field if len(scenario.markets) == 1 and market == "main" else f"markets.{market}.{field}"


def populations_without(scenario: Scenario, mechanism: str) -> dict[str, Any]:
    """Changes that switch off every population's part in a mechanism; empty if none has any."""
    changed: dict[str, Any] = {}
    for name, population in scenario.populations.items():
        ask = getattr(population.participant_class, "without", None)
        fields = {} if ask is None else ask(mechanism, population.config)
        if fields is None:
            changed[f"populations.{name}"] = None
            continue
        changed |= {f"populations.{name}.{field}": value for field, value in fields.items()}
    return changed
