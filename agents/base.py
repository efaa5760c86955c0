"""The participant: one Mesa agent that owns a block of accounts in one market."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import mesa
import numpy as np
from pydantic import Field, field_validator

from marginquake.sim.core.accounts import AccountView
from marginquake.sim.core.fields import Amount, Block, Duration
from marginquake.sim.core.typing import Floats
from marginquake.sim.market.context import ParticipantContext, SeedPositions
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.streams import Stream
from marginquake.sim.market.view import MarketView
from marginquake.sim.rules.registry import Rule
from marginquake.sim.scenario.distributions import Trait


class ParticipantConfig(Block):
    """What every population has.  Subclasses add traits; `type` names the participant class."""

    takes_account_book: ClassVar[bool] = False
    """Its accounts may come from a file (`accounts: Accounts`): its `seed_positions` books `context.book`."""

    type: str
    market: str | None = Field(None, description="Market traded; default the first")
    accounts: int = Field(1, gt=0, description="Rows in the account table")
    deposit: Trait[Amount] = Field(1e9, ge=0, description="Collateral of each account, quote units")
    leverage: Trait[float] = Field(1.0, gt=0, description="Chosen leverage; sets initial margin")
    margin_mode: str = Field("cross", pattern="^(cross|isolated)$")
    latency: Trait[Duration] = Field(50_000_000, ge=0, description="Decision to arrival at the venue")
    data_latency: Duration = Field(0, ge=0, description="Age of what it sees, a multiple of the step")
    decision_interval: Duration = Field(0, ge=0, description="Decides every so often; 0 = every step")

    @field_validator("accounts", mode="before")
    @classmethod
    def _book_has_an_effect(cls, accounts: Any) -> Any:
        if isinstance(accounts, Mapping) and not cls.takes_account_book:
            raise ValueError(
                "must be a number: a file says which positions accounts hold at the start, and these begin without; "
                "populations of type retail take one"
            )
        return accounts

    def problems(self, interval_s: float) -> Iterator[tuple[str, str, str]]:
        """What its fields say together that cannot be, as (field, message, value); `interval_s`: between decisions."""
        yield from ()

    def bytes_needed(self, interval_s: float) -> Iterator[tuple[str, float]]:
        """Memory beyond what every account takes, by the field that decides it."""
        yield from ()


MOST_LOOKS = 64
"""Looks of an account in one decision; with so many everybody looks, whatever the rate."""


class Participant(Rule, mesa.Agent, ABC):
    """Owns rows of one account table and decides on a MarketView.  Abstract: subclasses are final."""

    config_type: ClassVar[type[ParticipantConfig]]
    """Its YAML block; a nested `class Config(ParticipantConfig)` is taken for it."""
    example: ClassVar[dict[str, Any]] = {}
    configured_by: ClassVar[str | None] = None
    """The block of the market that configures it instead of a population; None = it is named as a population."""
    provides: ClassVar[tuple[str, ...] | None] = None
    """What a market has through it: `quotes` on both sides of the book, background `flow`.  None: not said, so that
    nobody is warned that it is lacking."""
    takes_other_side: ClassVar[bool] = False
    """Its `seed_positions` take the other side of everyone else's: with it in a market, others may seed positions."""

    def __init__(self, model: mesa.Model, config: ParticipantConfig, context: ParticipantContext) -> None:
        super().__init__(model)
        self.config = config
        self.context = context
        self.name = context.name
        self.rows = context.rows
        self.accounts: AccountView = context.table.view(context.rows)
        self.stream = context.stream
        self.contract = context.contract
        self.interval_s = max(config.decision_interval, context.step_ns) * 1e-9
        """Seconds between decisions: what a rate per second is multiplied by."""

    @abstractmethod
    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Look at the market and send orders.  Called every `decision_interval`."""

    def looks(self, clock: Stream, step: int, rate: float) -> int:
        """How many looks fall into a decision, of all accounts, each at `rate` per second."""
        accounts = len(self.rows)
        return min(clock.poisson(step, accounts * rate * self.interval_s), MOST_LOOKS * accounts)

    @classmethod
    def needs_other_side(cls, config: Any) -> bool:
        """True if a population with this config seeds positions that another must take the other side of.

        The scenario is then refused while it is read if nobody in the market does.  Override it together with
        `seed_positions`, unless what that seeds adds up to 0.
        """
        return False

    @classmethod
    def without(cls, mechanism: str, config: Any) -> Mapping[str, Any] | None:
        """What must change in a config to switch off its part in a mechanism: fields and their values.

        Empty: it has no part in it.  None: the population is nothing else, and goes.  `mechanism` is a name of
        `sim.studies.mechanisms.MECHANISMS` (`stops`, `withdrawal`, ...).  Nobody's random draws may depend on these
        fields:
        twins share them all.
        """
        return {}

    @classmethod
    def notional_wanted(cls, config: Any, deposit: Floats, leverage: Floats, depth_1pct: float) -> Floats | None:
        """Notional of a position by the deposit and leverage of an account, were there no venue to cut it; quote units.

        None: positions of this class do not follow from them.
        """
        return None

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions | None:
        """Positions this population already holds when the clock starts (t = 0); None = flat."""
        return None

    def on_events(self, events: np.ndarray[Any, Any], market: MarketView, orders: OrderEntry) -> None:
        """Events of the last step that touch this participant's rows (fills, margin calls, ...)."""
