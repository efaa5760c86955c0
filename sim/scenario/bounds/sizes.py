"""Sizes and rates that no machine can hold or run: hard bounds from arithmetic, the same wherever a file is read."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel

from marginquake.sim.core.fields import format_duration
from marginquake.sim.core.integers.limits import BYTES_A_TICK, LONGEST_NS, MOST_ACCOUNTS, MOST_POPULATIONS, MOST_TICKS
from marginquake.sim.core.problems import Problem
from marginquake.sim.scenario.bounds.amounts import Member
from marginquake.sim.scenario.bounds.memory import BYTES_AN_ACCOUNT, shown_bytes
from marginquake.sim.scenario.bounds.numbers import Number, numbers_of
from marginquake.sim.scenario.checks import problem_at
from marginquake.sim.scenario.config import MarketConfig, ScenarioHead
from marginquake.sim.scenario.yaml_tree import Node

MOST_STEPS: Final = 2**36
"""A week of computing at ten microseconds a step."""
MOST_ROWS: Final = 2**31
"""Rows of a table that is kept as the run goes on: series and maps."""
MOST_PLAIN: Final = 1e9
MOST_COUNT: Final = 2**31 - 1
LEAST: Final = 1e-12
MOST_FRACTION: Final = 1e4
BY_NAME: Final = (("_exponent", 100.0), ("_deviation", 10.0), ("_response", 100.0))
"""Ends of names of plain numbers that are exponents, or deviations of a logarithm: more leaves floating point."""
RATE: Final = "_rate"
"""End of the names of rates per second."""
MOST_A_DECISION: Final = 16_384.0
"""Expected events of one rate in one decision."""
IN_SECONDS: Final = 1e-9


def check_numbers(block: BaseModel, tree: Node, skipped: Sequence[str] = ()) -> Iterator[Problem]:
    """Plain numbers and fractions that are beyond anything a formula here can take; `skipped`: inner blocks with bounds
    of their own."""
    for number in numbers_of(block):
        if number.path[0] in skipped or number.unit in ("amount", "duration"):
            continue
        said = _beyond(number)
        if said is not None:
            yield problem_at(tree, number.path, said, f"{number.value:g}")


def _beyond(number: Number) -> str | None:
    size = abs(number.value)
    if isinstance(number.value, int) and number.unit is None:
        return f"must be at most {MOST_COUNT:,}" if size > MOST_COUNT and number.path != ("seed",) else None
    if number.unit == "fraction":
        most, shown = MOST_FRACTION, f"{MOST_FRACTION:g} ({100 * MOST_FRACTION:g} %)"
    else:
        most = next((bound for end, bound in BY_NAME if number.field.endswith(end)), MOST_PLAIN)
        shown = f"{most:g}"
    if size > most:
        return f"must be between -{shown} and {shown}" if number.value < 0 else f"must be at most {shown}"
    if 0 < size < LEAST:
        return f"must be 0, or {LEAST:g} or more: less is lost in rounding"
    return None


def check_ladder(market: MarketConfig, tree: Node) -> Iterator[Problem]:
    """Prices have 32 bits."""
    contract = market.contract
    ticks = contract.initial_price * (contract.max_price_multiple / contract.tick_size)
    if not ticks <= MOST_TICKS:
        message = (
            f"the ladder of prices has {ticks:.3g} ticks (initial_price * max_price_multiple / tick_size) and would "
            f"take {shown_bytes(ticks * BYTES_A_TICK)}; at most {MOST_TICKS:,}; write a larger tick_size"
        )
        yield problem_at(tree, ("contract", "tick_size"), message, f"{contract.tick_size:g}")


def check_length(head: ScenarioHead, tree: Node) -> Iterator[Problem]:
    """Length of the run in steps and rows."""
    length = head.duration + head.warmup
    if length > LONGEST_NS:
        message = f"with its warm-up the run lasts more than {format_duration(LONGEST_NS // 10**15 * 10**15)}"
        yield problem_at(tree, ("duration",), message, format_duration(head.duration))
    steps = length // head.step
    if steps > MOST_STEPS:
        message = (
            f"the run has {steps:.3g} steps (duration and warmup over step), at most {MOST_STEPS:.3g}: at 50 us each "
            f"they take {steps * 50e-6 / 86_400:,.0f} days; write a shorter duration or a longer step"
        )
        yield problem_at(tree, ("duration",), message, format_duration(head.duration))
    for name in ("series_every", "map_every"):
        every = getattr(head.record, name)
        rows = length // every
        if rows > MOST_ROWS:
            message = f"comes to {rows:.3g} rows, at most {MOST_ROWS:.3g}; write a longer time"
            yield problem_at(tree, ("record", name), message, format_duration(every))


def check_accounts(name: str, root: Node, members: Sequence[Member], populations: int) -> Iterator[Problem]:
    """Rows of one market's account table, and populations of a scenario."""
    if populations > MOST_POPULATIONS:
        yield problem_at(root, ("populations",), f"are {populations:,}; at most {MOST_POPULATIONS:,}")
    total = sum(member.count for member in members)
    if total <= MOST_ACCOUNTS:
        return
    largest = max(members, key=lambda member: member.count)
    together = "" if len(members) == 1 else f"all of {name} together {total:.3g}, "
    message = (
        f"{together}at most {MOST_ACCOUNTS:,} accounts in a market (row numbers have 32 bits); so many need "
        f"{shown_bytes(total * BYTES_AN_ACCOUNT)} of memory"
    )
    yield problem_at(largest.tree, ("accounts",), message, f"{largest.count}")


def check_rates(member: Member, step_ns: int) -> Iterator[Problem]:
    """Rates per second against the time between two decisions, and what a class says of its own sizes."""
    config = member.config
    interval_s = interval_of(config, step_ns)
    too_often = False
    for number in numbers_of(config):
        expected = number.value * interval_s
        if number.field.endswith(RATE) and number.unit is None and expected > MOST_A_DECISION:
            message = (
                f"is {expected:.3g} a decision (every {format_duration(round(interval_s / IN_SECONDS))}); at most "
                f"{MOST_A_DECISION:,.0f}; write a lower rate, or a shorter step or decision_interval"
            )
            too_often = True
            yield problem_at(member.tree, number.path, message, f"{number.value:g}")
    problems: Any = getattr(config, "problems", None)
    if problems is not None and not too_often:
        for path, message, value in problems(interval_s):
            yield problem_at(member.tree, (path,), message, value)


def interval_of(config: Any, step_ns: int) -> float:
    """Seconds between two decisions of a population."""
    return max(getattr(config, "decision_interval", 0), step_ns) * IN_SECONDS
