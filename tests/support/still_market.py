"""A market in which only margin happens: the mark is the index, the book is bottomless, and nobody else trades.

The crowd opens at the starting price and holds; the path of the fundamental is declared by shocks, or is a geometric
Brownian motion.  Nothing that anybody trades moves the index.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, final

import numpy as np
import yaml
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES
from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.sim.assets.fundamentals import Fundamental
from marginquake.sim.core.records import EventKind, Side
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import release

PRICE = 100_000
BOTTOMLESS = 10_000_000


class Flat(Fundamental):
    """A fundamental that stays where it started."""

    def advance(self, now_ns: int) -> float:
        return float(PRICE)


class DeepBookConfig(ParticipantConfig):
    """Traits of `DeepBook`."""

    half_spread_ticks: int = 1


@final
class DeepBook(Participant):
    """Quotes more than anybody can trade on both sides of the index, again at each step."""

    config_type = DeepBookConfig
    example: ClassVar[dict[str, Any]] = {"type": "deep_book", "deposit": 1e12}
    config: DeepBookConfig

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        orders.cancel_all(self.rows)
        for side in (Side.BUY, Side.SELL):
            price = round(market.index_ticks) - int(side) * self.config.half_spread_ticks
            orders.limit(self.rows, side, price, BOTTOMLESS)


REGISTRY = AGENT_TYPES | {"deep_book": DeepBook}
HOLD: dict[str, Any] = {
    "type": "retail",
    "accounts": 40,
    "margin_mode": "isolated",
    "leverage": 20,
    "long_share": 1,
    "stop_share": 0,
    "initial_open_fraction": 1,
    "entry_offset": 0,
    "minimum_distance": 0,
    "entry_time": "10000d",
    "exit_time": "10000d",
    "reentry_time": "10000d",
}
"""Longs of 20x, entered at the starting price: called where it has fallen 4.5 %."""


def scenario(**changes: Any) -> dict[str, Any]:
    """The scenario as plain data; `crowd` changes traits of the holders, everything else is a field of the file."""
    crowd = HOLD | changes.pop("crowd", {})
    venue = {
        "mark": {"rule": "index", "period": "1s"},
        "funding": {"enabled": False},
        "price_band": None,
        "fees": {"maker": 0, "taker": 0},
        "brackets": [{"notional_cap": "1000M", "max_leverage": 125, "maintenance": "0.5%"}],
    }
    plain: dict[str, Any] = {
        "name": "still",
        "duration": "30s",
        "warmup": "1s",
        "step": "100ms",
        "depth_1pct": "10M",
        "contract": {"initial_price": PRICE},
        "index": {"fundamental": {"volatility": 0}, "feedback": {"enabled": False}},
        "venue": venue | changes.pop("venue", {}),
        "populations": {
            "book": {"type": "deep_book", "deposit": 1e12, "latency": 0},
            "crowd": crowd,
            "carry": {"type": "hedger", "accounts": 1},
        },
    }
    if changes.pop("nobody_trades", False):
        del plain["populations"]["book"]
    return plain | changes


class StillMarket:
    """One run of it, step by step or to the end."""

    def __init__(self, folder: Path, seed: int = 1, check: bool = True, **changes: Any) -> None:
        file = folder / f"still-{seed}.yaml"
        file.write_text(yaml.safe_dump(scenario(**changes), sort_keys=False))
        self.model = MarketModel(load_scenario(file, REGISTRY), REGISTRY, seed=seed, check_invariants=check)
        self.room = self.model.sessions[0]
        self.table = self.room.venue.accounts.rows
        self.crowd = next(d.participant.rows for d in self.room.participants if d.participant.name == "crowd")
        self.table_value = self.room.venue.contract.lot_value.at_one_tick

    def until(self, seconds: float) -> "StillMarket":
        """Go on up to this time."""
        while self.model.now_ns < round(seconds * 1e9):
            self.model.step()
        return self

    def stages(self) -> NDArray[np.int64]:
        """How many of the crowd are in each stage, by its number."""
        return np.bincount(self.table["stage"][self.crowd], minlength=5)

    def finish(self) -> Any:
        """Run to the end; what the run leaves behind."""
        try:
            while self.model.steps_done < self.model.steps_total:
                self.model.step()
            return self.model.finish()
        finally:
            release(self.model)


OpenStillMarket: TypeAlias = Callable[..., StillMarket]
"""The fixture `still_market`: changes to the scenario -> the market."""


def kinds(events: NDArray[Any], row: int) -> Iterator[str]:
    """What happened to one account, without its orders, in order."""
    orders = (EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.MODIFIED, EventKind.EXPIRED)
    for event in events[events["account"] == row]:
        kind = EventKind(int(event["kind"]))
        if kind not in orders:
            yield kind.name.lower()


def fall(share: float, at: str = "2s", over: str = "1s") -> dict[str, Any]:
    """A declared fall of the fundamental by this share, as a shock."""
    return {"at": at, "log_return": float(np.log1p(-share)), "over": over}
