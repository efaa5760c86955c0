"""A replay against the run that it is for: the file reads, lasts as long as the run, and stays on the price ladder."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sim.config import MarketConfig, ReplayConfig, ScenarioHead
from sim.price_path import PricePath, PricePathError, load_price_path
from sim.problems import Problem
from sim.scenario_checks import problem_at
from sim.units import format_duration
from sim.yaml_source import Node, Path_

AT: Path_ = ("index", "fundamental")
HEADROOM = 1.05
"""What a suggested max_price_multiple leaves above the highest point, for the bridges and the market to move in."""


def check_replay(market: MarketConfig, tree: Node, head: ScenarioHead | None, root: Node) -> Iterator[Problem]:
    """Everything about the market's replay, if it has one; without a `head` only that the file reads."""
    config = market.index.fundamental
    if not isinstance(config, ReplayConfig):
        return
    try:
        path = load_price_path(config, Path())
    except PricePathError as error:
        value = getattr(config, error.field)
        problem = problem_at(tree, (*AT, error.field), str(error), value, error.suggestion)
        yield replace(problem, value=None) if error.field == "file" else problem
        return
    if head is not None:
        yield from _check_length(path, config, head, root)
        yield from _check_range(path, config, head, market, tree)


def _check_length(path: PricePath, config: ReplayConfig, head: ScenarioHead, root: Node) -> Iterator[Problem]:
    end_ns = path.times_ns[-1]
    if end_ns < head.duration:
        near = format_duration(end_ns // head.step * head.step)
        origin = "" if config.start is None else f" from {config.start} on"
        message = f"is longer than the replay {config.file}{origin}; at most {near}"
        yield problem_at(root, ("duration",), message)


def _check_range(
    path: PricePath, config: ReplayConfig, head: ScenarioHead, market: MarketConfig, tree: Node
) -> Iterator[Problem]:
    contract = market.contract
    factor = contract.initial_price / path.prices[0] if config.rescale else 1.0
    reached = [p * factor for t, p in zip(path.times_ns, path.prices, strict=True) if t <= head.duration]
    highest, lowest = max(reached), min(reached)
    if highest >= contract.initial_price * contract.max_price_multiple:
        needed = math.ceil(10 * HEADROOM * highest / contract.initial_price) / 10
        message = f"the replay rises to {highest:g}, {highest / contract.initial_price:.3g} times initial_price; "
        field = ("contract", "max_price_multiple")
        yield problem_at(tree, field, f"{message}write {needed:g} or more", f"{contract.max_price_multiple:g}")
    if lowest < contract.tick_size:
        message = f"the replay falls to {lowest:g}, less than one tick"
        yield problem_at(tree, ("contract", "tick_size"), message, f"{contract.tick_size:g}")
