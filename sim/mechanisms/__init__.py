"""What a twin may be run without: one file a mechanism, and any population by its name.

A mechanism is switched off by fields of the scenario and nothing else (docs/model.md, eq. 180): an override a field, on
top of the resolved scenario.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sim.mechanisms import contrarians, liquidation, nothing, stops, withdrawal
from sim.mechanisms.mechanism import Absent, Mechanism
from sim.mechanisms.populations import removal
from sim.problems import closest
from sim.scenario import Scenario

__all__ = ["MECHANISMS", "Absent", "Mechanism", "described", "mechanism_named"]

MECHANISMS: Final[Mapping[str, Mechanism]] = {
    each.name: each
    for each in (
        liquidation.LIQUIDATION,
        stops.STOPS,
        withdrawal.WITHDRAWAL,
        contrarians.CONTRARIANS,
        nothing.NOTHING,
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
