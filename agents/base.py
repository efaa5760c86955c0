"""The participant: one Mesa agent that owns a block of accounts in one market."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import mesa
import numpy as np
from pydantic import Field

from sim.accounts import AccountView
from sim.config import Block
from sim.distributions import Trait
from sim.market import MarketView, OrderEntry, Seat, SeedPositions
from sim.units import Amount, Duration


class ParticipantConfig(Block):
    """What every population has.  Subclasses add traits; `type` names the participant class."""

    type: str
    market: str | None = Field(None, description="Market traded; default the first")
    accounts: int = Field(1, gt=0, description="Rows in the account table")
    deposit: Trait[Amount] = Field(1e9, description="Collateral of each account, quote units")
    leverage: Trait[float] = Field(1.0, description="Chosen leverage; sets initial margin")
    margin_mode: str = Field("cross", pattern="^(cross|isolated)$")
    latency: Trait[Duration] = Field(50_000_000, description="Decision to arrival at the venue")
    data_latency: Duration = Field(0, ge=0, description="Age of what it sees, a multiple of the step")
    decision_interval: Duration = Field(0, ge=0, description="Decides every so often; 0 = every step")


class Participant(mesa.Agent, ABC):
    """Owns rows of one account table and decides on a MarketView.  Abstract: subclasses are final."""

    config_type: ClassVar[type[ParticipantConfig]]
    example: ClassVar[dict[str, Any]] = {}

    def __init__(self, model: mesa.Model, config: ParticipantConfig, seat: Seat) -> None:
        super().__init__(model)
        self.config = config
        self.seat = seat
        self.name = seat.name
        self.rows = seat.rows
        self.accounts: AccountView = seat.table.view(seat.rows)
        self.stream = seat.stream
        self.contract = seat.contract
        self.interval_s = max(config.decision_interval, seat.step_ns) * 1e-9
        """Seconds between decisions: what a rate per second is multiplied by."""

    @abstractmethod
    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Look at the market and say orders.  Called every `decision_interval`."""

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions | None:
        """Positions this population already holds when the clock starts (t = 0); None = flat."""
        return None

    def on_events(self, events: np.ndarray[Any, Any], market: MarketView, orders: OrderEntry) -> None:
        """Events of the last step that touch this participant's rows (fills, margin calls, ...)."""
