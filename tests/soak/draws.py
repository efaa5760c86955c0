"""Random scenarios: a shipped one, a venue over it, and rules, sizes, shocks and faults drawn from what there is."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import yaml

from marginquake.sim.rules.registry import Registry
from marginquake.sim.scenario.config import RULE_BLOCKS
from tests.support.paths import ROOT

Tree: TypeAlias = dict[str, Any]
SCENARIOS = ROOT / "scenarios"
HEAVY = ("million_accounts", "everyday_market", "crash_2024_08_05")
"""Too many accounts to draw often."""
PERIODS = ("100ms", "200ms", "500ms", "1s", "2s")
INVERSE = ("bybit_inverse", "bitmex_xbtusd", "deribit_futures")


def draw_scenario(draw: Random, seed: int) -> str:
    """The text of a scenario file that simulates 3 to 25 s; it may turn out to be refused."""
    bases = [path for path in sorted(SCENARIOS.glob("*.yaml")) if path.stem not in HEAVY or draw.random() < 0.1]
    base = draw.choice([path for path in bases if path.stem != "million_accounts"])
    extends = [str(base)]
    if draw.random() < 0.6 and base.stem != "coin_margined":
        extends.append(str(draw.choice(sorted((SCENARIOS / "venues").glob("*.yaml")))))
    is_inverse = base.stem == "coin_margined" or Path(extends[-1]).stem in INVERSE
    tree: Tree = {
        "extends": extends,
        "name": f"soak{seed}",
        "duration": f"{draw.randint(3, 25)}s",
        "warmup": f"{draw.randint(1, 5)}s",
        "index": {"shocks": [_shock(draw) for _ in range(draw.randint(0, 2))]},
        "record": {"events": "all"},
        "venue": _venue(draw, is_inverse),
        "liquidation": _liquidation(draw),
        "faults": [_fault(draw) for _ in range(draw.choice((0, 0, 0, 1, 1, 3)))],
    }
    if draw.random() < 0.5:
        tree["depth_1pct"] = float(round(10 ** draw.uniform(5.5, 8)))
    if draw.random() < 0.4:
        tree |= draw.choice(
            (
                {"fuel_ratio": draw.uniform(0.2, 8), "position_scale": None},
                {"position_scale": draw.uniform(0.1, 20), "fuel_ratio": None},
            )
        )
    return yaml.safe_dump(tree, sort_keys=False)


def _maybe(draw: Random, chance: float, fields: Mapping[str, Any]) -> Tree:
    """Each field with this chance."""
    return {name: value for name, value in fields.items() if draw.random() < chance}


def _shock(draw: Random) -> Tree:
    size = draw.choice((0.005, 0.02, 0.05, 0.1, 0.2)) * draw.choice((-1, 1))
    return {"at": f"{draw.randint(0, 8)}s", "log_return": size, "over": f"{draw.choice((1, 3, 8))}s"}


def _fault(draw: Random) -> Tree:
    kind = draw.choice(list(RULE_BLOCKS[("faults",)]))
    own = {
        "engine_delay": {"latency": draw.choice(PERIODS)},
        "throttle": {"capacity": draw.choice((0, 1, 20))},
        "wrong_tier": {"factor": draw.choice((0.2, 0.9, 1.5, 10.0))},
    }
    return {"type": kind, "at": f"{draw.randint(0, 5)}s", "for": f"{draw.randint(1, 10)}s", **own.get(kind, {})}


def _rule(draw: Random, *path: str) -> Tree:
    family: Registry[Any] = RULE_BLOCKS[path]
    return {family.key: draw.choice(list(family))}


def _venue(draw: Random, is_inverse: bool) -> Tree:
    money = 1e-5 if is_inverse else 1.0
    insurance = {
        "initial": money * draw.choice((0, 1, 1e4, 1e6, 1e9)),
        "shortfall": draw.choice(("adl", "socialised")),
        "max_loss_per_scan": money * draw.choice((0, 1e4, 1e7)),
    }
    adl = {
        "ranking": draw.choice(list(RULE_BLOCKS[("venue", "adl", "ranking")])),
        "allocation": draw.choice(list(RULE_BLOCKS[("venue", "adl", "allocation")])),
        "price": draw.choice(("bankruptcy", "previous_mark")),
        "trigger": draw.choice(list(RULE_BLOCKS[("venue", "adl")])),
    }
    call = {
        "warning": draw.choice((0.6, 0.8)),
        "level": draw.choice((0.9, 1.0)),
        "window": draw.choice(("0s", "1s", "5s")),
        "grace": draw.choice(("0s", "500ms", "2s")),
    }
    mark = {**_rule(draw, "venue", "mark"), "period": draw.choice(PERIODS)}
    funding = {**_rule(draw, "venue", "funding"), "interval": draw.choice(("2s", "10s", "1h"))}
    blocks = {
        "mark": mark,
        "funding": funding,
        "maintenance": {**_rule(draw, "venue", "maintenance")},
        "initial": {**_rule(draw, "venue", "initial")},
        "insurance": _maybe(draw, 0.6, insurance),
        "adl": _maybe(draw, 0.6, adl),
        "call": _maybe(draw, 0.5, call),
        "fees": _maybe(
            draw,
            0.5,
            {
                "maker": draw.choice((-0.0003, 0, 0.01)),
                "taker": draw.choice((0, 0.001, 0.02)),
                "liquidation": draw.choice((0, 0.05, 0.5)),
            },
        ),
        "oracle": _maybe(
            draw,
            0.5,
            {"period": draw.choice(PERIODS), "deviation": draw.choice((0, 0.002, 0.05)), "delay": draw.choice(PERIODS)},
        ),
        "circuit_breaker": {"move": draw.choice((0.002, 0.02)), "window": "1s", "pause": draw.choice(("500ms", "4s"))},
        "price_band": draw.choice((None, 0.01, 0.3)),
        "self_trade_prevention": draw.choice(("cancel_maker", "cancel_taker")),
    }
    return _maybe(draw, 0.35, blocks)


def _liquidation(draw: Random) -> Tree:
    fields = {
        **_rule(draw, "liquidation"),
        "enabled": draw.random() < 0.95,
        "takeover": draw.random() < 0.7,
        "capacity": draw.choice((1, 20, 2000)),
        "latency": draw.choice(PERIODS),
    }
    return _maybe(draw, 0.35, fields)
