"""Scenarios in which one number is at a value that nobody means, and what comes of each.

All participants, and market rules in a few sets that between them name every rule with numbers of its own.
"""

import copy
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import yaml

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.integers.limits import TooLarge
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.bounds.memory import check_memory
from marginquake.sim.scenario.bounds.numbers import Number, numbers_of
from marginquake.sim.scenario.config import ScenarioHead
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.run import release
from tests.support.paths import TINY

MOST_MEMORY: Final = 5e8
"""Bytes that a case may need by the estimate; more counts as refused."""
EVERYBODY: Final = (
    "duration=2s",
    "warmup=1s",
    "populations.hft={type: hft}",
    "populations.chartists={type: chartist, wake_rate: 0.1}",
    "populations.patient={type: contrarian, from_move: 0.01%, full_move: 0.05%, window: 5s, reaction: 500ms, hold: 3s}",
    "populations.whales={type: whale, accounts: 5}",
    "populations.crowd.cure={}",
    "populations.crowd.prevention={}",
    "populations.crowd.top_up_share=0.5",
    "populations.crowd.buffer=0.1",
    "populations.crowd.redeposit_share=0.5",
    "populations.crowd.leverage_response=1",
    "populations.crowd.humility=0.5",
    "populations.crowd.trend_sensitivity=1",
    "populations.crowd.excitation=0.5",
    "populations.flow.starting_depth=[{within: 1%, bid: 1M, ask: 1M}, {within: 5%, bid: 4M, ask: 4M}]",
    "index.shocks=[{at: 500ms, log_return: -3%, over: 1s}]",
    "record.series_every=500ms",
    "record.map_every=1s",
    "record.positions_every=1s",
)
RULES: Final[Sequence[Sequence[str]]] = (
    (
        "venue.maintenance={rule: volatility_linked, update_every: 1s}",
        "venue.initial={rule: open_interest_linked, update_every: 1s}",
        "venue.mark={rule: hyperliquid, period: 500ms}",
        "venue.funding={rule: bitmex, interval: 1s, sample_period: 500ms}",
        "venue.oracle={period: 300ms, deviation: 5bps, delay: 200ms}",
        "venue.circuit_breaker={move: 20bps, window: 1s, pause: 700ms}",
        "venue.call={warning: 60%, level: 80%, window: 500ms, grace: 500ms}",
    ),
    (
        "contract={type: inverse, initial_price: 100000, contract_value: 100}",
        "venue.mark={rule: index_plus_basis}",
        "venue.funding={rule: hyperliquid, interval: 1s, sample_period: 500ms}",
        "liquidation={procedure: fillable}",
        "venue.adl={trigger: fund_drawdown, price_band: 5%}",
        "venue.insurance={initial: 100, max_loss_per_scan: 1000}",
        "fuel_ratio=1",
    ),
    (
        "venue.funding={rule: dydx, interval: 1s, sample_period: 500ms}",
        "liquidation={procedure: sliced}",
        "venue.insurance={initial: 0, shortfall: socialised}",
        "venue.adl={allocation: water_filling}",
        "position_scale=2",
        "index.fundamental={jumps: {per_day: 10}, stochastic_volatility: {}}",
    ),
    (
        "liquidation={procedure: incremental}",
        "venue.insurance={initial: 0}",
        "faults=[{type: throttle, at: 500ms, for: 1s, capacity: 1}, {type: wrong_tier, at: 500ms, for: 1s, factor: 2}]",
    ),
    ("liquidation={procedure: tier_reduction}",),
)
FLOATS: Final = (1e-300, 1e-9, 1e-3, 10.0, 1e4, 1e9, 1e18, 1e300, -1e18)
WHOLE: Final = (0, 2, 1000, 2**20, 2**31, 2**40, 2**63, 10**30, -1)
DURATIONS: Final = ("1ns", "100ms", "7d", "36500d", "53000d")


@final
@dataclass(frozen=True, slots=True)
class Case:
    """One number of one scenario at an extreme value."""

    rules: int
    path: tuple[str | int, ...]
    value: Any

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))}={self.value}, rules {self.rules}"


def base(rules: int) -> Scenario:
    """The scenario that a set of rules is tried in."""
    return load_scenario(TINY, AGENT_TYPES, (*EVERYBODY, *RULES[rules]))


def cases(seed: int) -> list[Case]:
    """All cases, in an order that the seed decides."""
    found: list[Case] = []
    for rules in range(len(RULES)):
        scenario = base(rules)
        head = ScenarioHead.model_construct(**{name: getattr(scenario, name) for name in ScenarioHead.model_fields})
        found += _cases(rules, numbers_of(scenario.markets[0]))
        if rules == 0:
            found += _cases(rules, numbers_of(head))
            for name, population in scenario.populations.items():
                found += _cases(rules, numbers_of(population.config, ("populations", name)))
    random.Random(seed).shuffle(found)
    return found


def _cases(rules: int, numbers: Iterator[Number]) -> Iterator[Case]:
    for number in numbers:
        kind = DURATIONS if number.unit == "duration" else WHOLE if isinstance(number.value, int) else FLOATS
        for value in kind:
            yield Case(rules, number.path, value)


def outcome(case: Case, data: dict[str, Any], folder: Path) -> str:
    """`refused`, with a line; `refused later`, with the name of what does not fit; or `ran`.

    `data`: the resolved scenario of the case's rules.  Anything else is raised: a traceback, a wrapped number, a broken
    invariant.
    """
    written = copy.deepcopy(data)
    at: Any = written
    for key in case.path[:-1]:
        at = at[key]
    at[case.path[-1]] = case.value
    file = folder / "case.yaml"
    file.write_text(yaml.safe_dump(written, sort_keys=False))
    try:
        scenario = load_scenario(file, AGENT_TYPES)
    except ScenarioError as error:
        return "refused" if all(problem.place.line for problem in error.problems) else f"refused without line: {error}"
    try:
        check_memory(scenario, MOST_MEMORY)
        model = MarketModel(scenario, AGENT_TYPES, check_invariants=True)
    except ScenarioError:
        return "refused later"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*invalid value encountered in cast.*")
            for _ in range(min(model.steps_total, 32)):
                model.step()
            if model.steps_done == model.steps_total:
                model.finish()
    except (TooLarge, ScenarioError):
        return "refused later"
    finally:
        release(model)
    return "ran"
