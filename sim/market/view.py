"""What a participant may know of its market."""

from typing import NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.contract import ContractSpec


@final
class MarketView(NamedTuple):
    """The market as one participant sees it at a decision: a snapshot taken `data latency` ago.

    Prices are ticks. `bid_lots`, `ask_lots`: size at the touch. `best_*_ticks` is 0 while that side is empty.
    `depth` answers questions on the *visible* book at decision time; see `DepthProbe`.  `maintenance_multiplier`: what
    the venue multiplies its brackets' maintenance rates with (eq. 146).
    """

    step: int
    now_ns: int
    step_ns: int
    best_bid_ticks: int
    best_ask_ticks: int
    bid_lots: int
    ask_lots: int
    mid_ticks: float
    last_ticks: int
    mark_ticks: int
    index_ticks: float
    fundamental_ticks: float
    funding_rate: float
    contract: ContractSpec
    depth: "DepthProbe"
    maintenance_multiplier: float = 1.0

    @property
    def two_sided(self) -> bool:
        """True while both sides have orders."""
        return self.best_bid_ticks > 0 and self.best_ask_ticks > 0

    @property
    def spread_ticks(self) -> int:
        """Best ask minus best bid, 0 while a side is empty."""
        return self.best_ask_ticks - self.best_bid_ticks if self.two_sided else 0


class DepthProbe(Protocol):
    """Resting quantity near the touch."""

    def within(self, side: int, fraction: float) -> int:
        """Lots resting on `side` (BUY = bids) within `fraction` of the mid."""
        ...


class SpotMarket(Protocol):
    """The outside market where the index is made: hedges trade at the index and push it."""

    def trade(self, rows: Rows, signed_lots: NDArray[np.float64]) -> None:
        """Buy (+) or sell (-) on spot for these accounts, at the index price; the index listens."""
        ...

    def position_lots(self, rows: Rows) -> NDArray[np.float64]:
        """Spot holdings of these accounts, in lots of the contract."""
        ...

    def profit(self, rows: Rows) -> NDArray[np.float64]:
        """What spot has earned these accounts since the start, holdings at the index, quote units."""
        ...
