"""A mechanism of a market that can be switched off by its scenario."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from marginquake.sim.core.problems import closest
from marginquake.sim.scenario.scenario import Scenario


class Absent(ValueError):
    """The scenario has no such mechanism; the message says so and what it has."""


@final
@dataclass(frozen=True, slots=True)
class Mechanism:
    """`says`: what is off, in words.  `changes`: by path, the fields of a scenario that switch it off.

    `changes` raises `Absent` for a scenario without the mechanism.  `moves_start`: t = 0 may not find the market as it
    was; sizes of positions are then those of the run with everything, not solved for again.
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


def _without_contrarians(scenario: Scenario) -> dict[str, Any]:
    changed = populations_without(scenario, "contrarians")
    if not changed:
        raise Absent(f"--without contrarians: {scenario.name} has no population of type contrarian")
    return changed


CONTRARIANS = Mechanism("contrarians", "contrarians", _without_contrarians)


def _without_forced_orders(scenario: Scenario) -> dict[str, Any]:
    on = [market.name for market in scenario.markets if market.liquidation.enabled]
    if not on:
        raise Absent(
            f"--without liquidation: {scenario.name} has no liquidation engine (liquidation.enabled is false already)"
        )
    return {market_path(scenario, market, "liquidation.enabled"): False for market in on}


LIQUIDATION = Mechanism("liquidation", "forced orders", _without_forced_orders, moves_start=False)


def _as_it_is(scenario: Scenario) -> dict[str, Any]:
    return {}


NOTHING = Mechanism("nothing", "nothing", _as_it_is)


def removal(name: str) -> Mechanism:
    """The twin without this population."""
    return Mechanism(name, f"the {name.replace('_', ' ')}", lambda _: {f"populations.{name}": None})


def _without_stops(scenario: Scenario) -> dict[str, Any]:
    changed = populations_without(scenario, "stops")
    if not changed:
        raise Absent(
            f"--without stops: {scenario.name} has no stops (no population with stop_share, or a share of "
            "prevention.stop, above 0)"
        )
    return changed


STOPS = Mechanism("stops", "stops", _without_stops)


def _without_withdrawal(scenario: Scenario) -> dict[str, Any]:
    changed = populations_without(scenario, "withdrawal")
    if not changed:
        raise Absent(
            f"--without withdrawal: nobody in {scenario.name} withdraws in stress (no market_maker or hft that quotes "
            "less or pulls)"
        )
    return changed


WITHDRAWAL = Mechanism("withdrawal", "withdrawal in stress", _without_withdrawal)
MECHANISMS: Final[Mapping[str, Mechanism]] = {
    each.name: each
    for each in (
        LIQUIDATION,
        STOPS,
        WITHDRAWAL,
        CONTRARIANS,
        NOTHING,
    )
}
"""By name.  A population of the same name is out of reach here: `--set populations.NAME=null` removes it."""


def mechanism_named(name: str, scenario: Scenario) -> Mechanism:
    """The mechanism of that name, or the removal of that population; `Absent` if it is neither."""
    if name in MECHANISMS:
        return MECHANISMS[name]
    if name in scenario.populations:
        return removal(name)
    near = closest(name, (*MECHANISMS, *scenario.populations))
    hint = f"; did you mean {near}?" if near else ""
    raise Absent(f"--without {name}: neither a mechanism nor a population of {scenario.name}{hint}")


def described(names: Sequence[str]) -> str:
    """What is off, in words: `forced orders and stops`."""
    words = [MECHANISMS[name].says if name in MECHANISMS else removal(name).says for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing"
