"""What no single field can know: periods fit the step, tables rise, files and markets exist, paths fit the ladder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from marginquake.sim.assets.price_path import PricePath, PricePathError, ReplayConfig, load_price_path
from marginquake.sim.assets.price_table import PRICE, TIME
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.data_files import CONTENT_KEY, DataFileChanged, read_content
from marginquake.sim.core.fields import format_duration
from marginquake.sim.core.margin import Bracket
from marginquake.sim.core.problems import Place, Problem, closest, shown_path
from marginquake.sim.scenario.config import RULE_BLOCKS, MarketConfig, ScenarioHead
from marginquake.sim.scenario.yaml_tree import Node, Path_

HEAD_PERIODS: Sequence[Path_] = (
    ("duration",),
    ("warmup",),
    ("record", "series_every"),
    ("record", "map_every"),
    ("record", "positions_every"),
)
MARKET_PERIODS: Sequence[Path_] = (
    ("venue", "mark", "period"),
    ("venue", "funding", "interval"),
    ("venue", "funding", "sample_period"),
    ("venue", "oracle", "period"),
    ("liquidation", "monitor_period"),
)
POPULATION_PERIODS: Sequence[Path_] = (("data_latency",), ("decision_interval",))


def problem_at(
    tree: Node, path: Path_, message: str, value: str | None = None, suggestion: str | None = None
) -> Problem:
    """A problem with a field that the file may or may not mention; then it is where the nearest block begins."""
    node = tree
    for position, key in enumerate(path):
        child = node.child(key)
        if child is None:
            shown = shown_path((*node.path, *path[position:]))
            shown_value = f"{value} (the default)" if value is not None else None
            return Problem(node.place, shown, message, shown_value, suggestion)
        node = child
    return Problem(node.place, shown_path(node.path), message, node.shown(), suggestion)


def check_head(head: ScenarioHead, tree: Node, step_place: Place | None) -> Iterator[Problem]:
    """Run length and record intervals against the step."""
    yield from check_periods(head, tree, HEAD_PERIODS, head.step, step_place)


def check_faults(market: MarketConfig, tree: Node, duration_ns: int) -> Iterator[Problem]:
    """A fault that begins after the end of the run would never come."""
    for position, fault in enumerate(market.faults):
        if fault.at >= duration_ns:
            message = f"begins when the run is over ({format_duration(duration_ns)}): it would never come"
            yield problem_at(tree, ("faults", position, "at"), message, format_duration(fault.at))


def check_periods(
    config: BaseModel, tree: Node, paths: Sequence[Path_], step_ns: int, step_place: Place | None
) -> Iterator[Problem]:
    """Each of these durations is a whole number of steps.  An unmentioned one is blamed on the line of `step`."""
    for path in paths:
        value: Any = config
        for key in path:
            value = getattr(value, str(key), None)
        if not isinstance(value, int) or value % step_ns == 0:
            continue
        near = format_duration(max(1, round(value / step_ns)) * step_ns)
        message = f"must be a whole number of steps ({format_duration(step_ns)}); {near}, say"
        problem = problem_at(tree, path, message, format_duration(value))
        if step_place is not None and problem.value is not None and problem.value.endswith("(the default)"):
            problem = Problem(step_place, problem.path, problem.message, problem.value)
        yield problem


def check_other_side(
    root: Node, populations: Mapping[str, tuple[type[Any], Any]], markets: Sequence[str], registry: Mapping[str, Any]
) -> Iterator[Problem]:
    """Positions held at the start have two sides.  `populations`: class and config by name; the first market is the
    default.  Classes that do not say what they seed are left alone."""
    for market in markets:
        here = {name: each for name, each in populations.items() if (each[1].market or markets[0]) == market}
        if any(getattr(kind, "takes_other_side", False) for kind, _ in here.values()):
            continue
        seeding = [name for name, (kind, config) in here.items() if needs_other_side(kind, config)]
        if seeding:
            takers = [name for name, kind in registry.items() if getattr(kind, "takes_other_side", False)]
            where = f" of {market}" if len(markets) > 1 else ""
            message = (
                f"nobody{where} takes the other side of the positions that {', '.join(seeding)} "
                f"{'hold' if len(seeding) > 1 else 'holds'} at the start"
            )
            if takers:
                message += f"; add a population of `type: {takers[0]}`"
            yield problem_at(root, ("populations",), message)


def needs_other_side(kind: type[Any], config: Any) -> bool:
    """Whether a population of this class and config holds positions at the start that need another side."""
    asked = getattr(kind, "needs_other_side", None)
    return asked is not None and bool(asked(config))


def check_market(market: MarketConfig, tree: Node) -> Iterator[Problem]:
    """One market's tables and numbers against each other."""
    yield from _check_contract(market, tree)
    yield from _check_brackets(market, tree)
    yield from _check_call(market, tree)
    yield from _check_rules(market, tree)
    feedback = market.index.feedback
    if len(feedback.decay) != len(feedback.weights):
        message = f"{len(feedback.decay)} decay times but {len(feedback.weights)} weights"
        yield problem_at(tree, ("index", "feedback", "weights"), message)
    for position, weight in enumerate(feedback.weights):
        if not weight > 0:
            yield problem_at(tree, ("index", "feedback", "weights", position), "must be greater than 0")
    for position, decay in enumerate(feedback.decay):
        if not decay > 0:
            yield problem_at(tree, ("index", "feedback", "decay", position), "must be greater than 0")
    for position, shock in enumerate(market.index.shocks):
        if shock.at < 0:
            yield problem_at(tree, ("index", "shocks", position, "at"), "must be at least 0")


def _check_contract(market: MarketConfig, tree: Node) -> Iterator[Problem]:
    contract = market.contract
    tick, price = Decimal(repr(contract.tick_size)), Decimal(repr(contract.initial_price))
    if price < tick:
        yield problem_at(tree, ("contract", "initial_price"), f"is less than one tick ({tick})", str(price))
        return
    try:
        ContractSpec.from_fields(
            market.name,
            contract.model_dump(),
            int((price * Decimal(repr(contract.max_price_multiple)) / tick).to_integral_value(ROUND_CEILING)),
            contract.max_position_lots,
        )
    except ValueError as error:
        yield problem_at(tree, ("contract",), str(error))


def _check_brackets(market: MarketConfig, tree: Node) -> Iterator[Problem]:
    for position, (before, bracket) in enumerate(pairwise(market.venue.brackets), start=1):
        at: Path_ = ("venue", "brackets", position)
        if not before.notional_cap < bracket.notional_cap:
            message = f"must be above that of the bracket before ({before.notional_cap:g})"
            yield problem_at(tree, (*at, "notional_cap"), message)
        if not before.maintenance <= bracket.maintenance:
            message = f"must not be below that of the bracket before ({before.maintenance:g})"
            yield problem_at(tree, (*at, "maintenance"), message)
        if not before.max_leverage >= bracket.max_leverage:
            message = f"must not be above that of the bracket before ({before.max_leverage:g})"
            yield problem_at(tree, (*at, "max_leverage"), message)
    yield from _check_maintenance(market.venue.brackets, tree)


def _check_maintenance(brackets: Sequence[Bracket], tree: Node) -> Iterator[Problem]:
    """No position may owe more maintenance than initial margin: at a bracket's cap (eq. 4), the last one anywhere."""
    required = below = 0.0
    for position, bracket in enumerate(brackets):
        required += bracket.maintenance * (bracket.notional_cap - below)
        below = bracket.notional_cap
        largest = bracket.maintenance if position == len(brackets) - 1 else required / bracket.notional_cap
        if largest * bracket.max_leverage <= 1 + 1e-9:
            continue
        whole = "" if largest == bracket.maintenance else f"comes to {largest:.4g} of a position at the cap; that "
        message = f"{whole}must be at most 1 / max_leverage ({1 / bracket.max_leverage:g}), the initial margin"
        yield problem_at(tree, ("venue", "brackets", position, "maintenance"), message)


def _check_call(market: MarketConfig, tree: Node) -> Iterator[Problem]:
    """Warning before call, and both where an account can still be: above the maintenance rate of every bracket."""
    call = market.venue.call
    if call.warning is not None and call.warning >= call.level:
        message = f"must be below the level that calls ({call.level:g})"
        yield problem_at(tree, ("venue", "call", "warning"), message)
    steepest = max(bracket.maintenance for bracket in market.venue.brackets)
    for name, ratio in (("warning", call.warning), ("level", call.level)):
        if ratio is not None and ratio <= steepest:
            message = (
                f"must be above the highest maintenance rate ({steepest:g}): a position of that bracket would be there "
                "without any debt"
            )
            yield problem_at(tree, ("venue", "call", name), message)


def _check_rules(market: MarketConfig, tree: Node) -> Iterator[Problem]:
    """What rules say of their own fields, and how often margins may be updated."""
    for path in RULE_BLOCKS:
        found: Any = market
        for key in path:
            found = getattr(found, key)
        blocks: list[tuple[Path_, Any]] = (
            [(path, found)] if not isinstance(found, tuple) else [((*path, n), b) for n, b in enumerate(found)]
        )
        for where, block in blocks:
            for name, message, value in block.problems():
                yield problem_at(tree, (*where, name), message, value)
    period = market.venue.mark.period
    for name in ("maintenance", "initial"):
        every = getattr(getattr(market.venue, name), "update_every", period)
        if every % period:
            message = f"must be a whole number of mark periods ({format_duration(period)})"
            yield problem_at(tree, ("venue", name, "update_every"), message, format_duration(every))


def check_population(config: BaseModel, tree: Node, market_names: Sequence[str]) -> Iterator[Problem]:
    """The market that a population trades on exists."""
    market = getattr(config, "market", None)
    if market is not None and market not in market_names:
        message = f"there is no such market; known are {', '.join(market_names)}"
        yield problem_at(tree, ("market",), message, suggestion=closest(market, market_names))


REPLAY_AT: Path_ = ("index", "fundamental")
COLUMNS = {"time_column": TIME, "price_column": PRICE}
"""What a replay's columns are called if it does not say."""


def check_replay(market: MarketConfig, tree: Node, head: ScenarioHead | None, root: Node) -> Iterator[Problem]:
    """Everything about the market's replay, if it has one; without a `head` only that the file reads."""
    config = market.index.fundamental
    if not isinstance(config, ReplayConfig):
        return
    try:
        path = path_of_replay(config)
        if config.sha256 is not None:
            read_content(config.file, config.sha256)
    except DataFileChanged as error:
        yield replace(problem_at(tree, (*REPLAY_AT, CONTENT_KEY), str(error)), value=None)
        return
    except PricePathError as error:
        value = getattr(config, error.field) or COLUMNS.get(error.field)
        problem = problem_at(tree, (*REPLAY_AT, error.field), str(error), value, error.suggestion)
        yield replace(problem, value=None) if error.field == "file" else problem
        return
    yield from _check_found(path, config, tree)
    if head is not None:
        yield from _check_length(path, config, head, root)


def path_of_replay(config: ReplayConfig) -> PricePath:
    """The path of a replay whose file is written as an absolute path.  Raises PricePathError."""
    return load_price_path(config, Path())


def _check_found(path: PricePath, config: ReplayConfig, tree: Node) -> Iterator[Problem]:
    """Span and number of points, where the scenario says them."""
    if config.points not in (None, len(path.times_ns)):
        message = f"{config.file} holds {len(path.times_ns)}; take out `points`, or bring back the file it was"
        yield problem_at(tree, (*REPLAY_AT, "points"), message)
    if config.span not in (None, path.span_ns):
        message = f"{config.file} spans {format_duration(path.span_ns)}; take out `span`, or bring back the file it was"
        yield problem_at(tree, (*REPLAY_AT, "span"), message)


def _check_length(path: PricePath, config: ReplayConfig, head: ScenarioHead, root: Node) -> Iterator[Problem]:
    end_ns = path.times_ns[-1]
    if end_ns < head.duration:
        near = format_duration(end_ns // head.step * head.step)
        origin = "" if config.start is None else f" from {config.start} on"
        unit = path.recording.unit
        other = "" if unit == "iso" else f", or name the unit of its times if it is not {unit} (time_unit)"
        message = (
            f"is longer than the replay {config.file}{origin}; at most {near}: the run lasts "
            f"{format_duration(head.duration)} after its warm-up, the {len(path.times_ns)} points of the file "
            f"{format_duration(end_ns)}; shorten the run, take a longer file{other}"
        )
        yield problem_at(root, ("duration",), message)
