"""Who holds what at a time, from the run's snapshots of positions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.sim.core.records import Stage
from marginquake.sim.core.typing import Bools, Floats, Ints

NO_SNAPSHOTS = "no positions recorded (record.events: none, or a run of before); run with record.events: liquidations"


@final
@dataclass(frozen=True)
class Positions:
    """Every account with a position at one time, the insurance fund included; one entry each.

    Prices and amounts in quote units.  `position_lots` is signed; `liquidation_price` NaN where no price calls the
    account, or it is called already; `equity` is what backs the position, at the mark; `forced` its notional at the
    liquidation price (0 without one); `leverage` what the account has chosen (NaN where it is not known).
    `missing` says why there is nothing.
    """

    time_s: float
    mark: float
    account: Ints
    population: NDArray[np.str_]
    stage: Ints
    position_lots: Ints
    entry_price: Floats
    liquidation_price: Floats
    equity: Floats
    notional: Floats
    maintenance: Floats
    forced: Floats
    leverage: Floats
    missing: str = ""

    def __len__(self) -> int:
        return len(self.account)

    @property
    def side(self) -> Ints:
        """+1 long, -1 short."""
        return np.asarray(np.sign(self.position_lots), np.int64)

    @cached_property
    def distance(self) -> Floats:
        """Log-distance of the liquidation price from the mark (eq. 190): positive while it is not reached."""
        return np.asarray(self.side * np.log(self.mark / self.liquidation_price), np.float64)

    @property
    def effective_leverage(self) -> Floats:
        """Notional over the equity behind it; infinite where that is used up."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.equity > 0, self.notional / self.equity, np.inf)

    @cached_property
    def waiting(self) -> Bools:
        """True where the mark may still call the account: it has a liquidation price that is not reached."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.distance >= 0) & (self.stage < Stage.CALLED), np.bool_)

    @cached_property
    def called(self) -> Bools:
        """True where the liquidation price is reached: called, in liquidation, or about to be called."""
        return np.asarray((self.stage >= Stage.CALLED) | (self.distance < 0), np.bool_)

    def select(self, chosen: Bools) -> "Positions":
        """The positions where `chosen` is true."""
        arrays = {name: each[chosen] for name, each in vars(self).items() if name in _ARRAYS}
        return Positions(self.time_s, self.mark, **arrays, missing=self.missing)


_ARRAYS = (
    "account", "population", "stage", "position_lots", "entry_price", "liquidation_price", "equity", "notional",
    "maintenance", "forced", "leverage",
)  # fmt: skip


def snapshot_times(market: MarketFrames) -> Floats:
    """Times of the snapshots, seconds from the end of the warm-up; t = 0 alone where accounts.parquet has to do."""
    if market.positions:
        return np.unique(np.asarray(market.positions["time_s"], np.float64))
    return np.zeros(1) if _has_start(market) else np.zeros(0)


def positions_at(market: MarketFrames, at_s: float = 0.0) -> Positions:
    """The last snapshot at or before `at_s`.

    Runs without snapshots have t = 0 in accounts.parquet, without maintenance.  Nothing, and why, where there is none.
    """
    times = snapshot_times(market)
    if len(times) == 0:
        return nobody(NO_SNAPSHOTS)
    place = int(np.searchsorted(times, at_s, side="right")) - 1
    if place < 0:
        return nobody(f"no snapshot of positions at or before {at_s:g} s; the first is at {times[0]:g} s")
    if not market.positions:
        return _from_accounts(market)
    chosen = market.positions["time_s"] == times[place]
    rows = {name: column[chosen] for name, column in market.positions.items()}
    return _positions(market, float(times[place]), float(rows["mark"][0]), rows)


def nobody(missing: str) -> Positions:
    """No positions, and why."""
    none, no_lots = np.zeros(0), np.zeros(0, np.int64)
    return Positions(
        np.nan,
        np.nan,
        no_lots,
        np.zeros(0, np.str_),
        no_lots,
        no_lots,
        none,
        none,
        none,
        none,
        none,
        none,
        none,
        missing,
    )


def _positions(market: MarketFrames, time_s: float, mark: float, rows: Columns) -> Positions:
    tick = market.contract.to_price(1.0)
    price = np.asarray(rows["liquidation_price"], np.float64)
    lots = np.abs(rows["position_lots"])
    account = np.asarray(rows["account"], np.int64)
    chosen = np.full(len(account), np.nan)
    if "leverage" in market.accounts:
        chosen = np.asarray(market.accounts["leverage"], np.float64)[account]
    return Positions(
        time_s=time_s,
        mark=mark,
        account=account,
        population=np.asarray(rows["population"], np.str_),
        stage=np.asarray(rows["stage"], np.int64),
        position_lots=np.asarray(rows["position_lots"], np.int64),
        entry_price=np.asarray(rows["entry_price"], np.float64),
        liquidation_price=price,
        equity=np.asarray(rows["equity"], np.float64),
        notional=np.asarray(rows["notional"], np.float64),
        maintenance=np.asarray(rows["maintenance"], np.float64),
        forced=np.nan_to_num(market.contract.notional(lots, price / tick)),
        leverage=chosen,
    )


def _has_start(market: MarketFrames) -> bool:
    needed = {"position_start", "entry_start", "liquidation_price_start", "equity_start", "population"}
    return needed <= set(market.accounts) and bool((market.run["time_s"] == 0.0).any())


def _from_accounts(market: MarketFrames) -> Positions:
    """Positions of t = 0 from accounts.parquet.  Its equity is all collateral, which is more than backs an isolated
    position."""
    accounts: dict[str, Any] = market.accounts
    held = np.flatnonzero(accounts["position_start"])
    mark = float(market.run["mark"][market.run["time_s"] == 0.0][0])
    lots = accounts["position_start"][held]
    notional = market.contract.notional(np.abs(lots), mark / market.contract.to_price(1.0))
    rows = {
        "account": accounts["row"][held] if "row" in accounts else held,
        "population": accounts["population"][held],
        "stage": np.zeros(len(held), np.int64),
        "position_lots": lots,
        "entry_price": accounts["entry_start"][held],
        "liquidation_price": accounts["liquidation_price_start"][held],
        "equity": accounts["equity_start"][held],
        "notional": notional,
        "maintenance": np.full(len(held), np.nan),
    }
    return _positions(market, 0.0, mark, rows)
