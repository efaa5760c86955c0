"""What goes wrong at a venue: faults of its rules by `type` (docs/model.md, eq. 133)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Annotated, Any, ClassVar, Final, Literal, final

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from marginquake.sim.core.fields import Duration, Idle
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock


@final
@dataclass(frozen=True)
class InForce:
    """What faults make of a market's rules at one moment; without any, as it stands here.

    `capacity`: the engine handles no more accounts in a scan (None: as configured).  `latency_ns`: its orders arrive so
    much later.  `maintenance_factor`: multiple of the maintenance rates in force.
    """

    engine_scans: bool = True
    capacity: int | None = None
    latency_ns: int = 0
    oracle_moves: bool = True
    mark_moves: bool = True
    maintenance_factor: float = 1.0


class Fault(Rule, RuleBlock, ABC):
    """From `at` on, `for` so long.  A fault is its own block: a subclass with its fields, and an entry in `FAULTS`."""

    type: str
    at: Duration = Field(ge=0, description="When it begins, from the end of the warm-up")
    for_: Duration = Field(gt=0, alias="for", description="How long it lasts")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.config_type = cls

    @abstractmethod
    def change(self, rules: InForce) -> InForce:
        """The rules as they are while this fault lasts; faults at the same time add up."""

    @property
    def until(self) -> int:
        """When it is over, ns."""
        return self.at + self.for_

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`for` is a word of Python, but not of scenario files."""
        return {{"for_": "for"}.get(name, name): value for name, value in dump(self).items()}


NEVER = 2**63 - 1


@final
class FaultSchedule:
    """Rules in force by the clock, which only goes forward: looked up at the beginnings and ends of faults only."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._in_force = InForce()
        self._next_ns = min((fault.at for fault in faults), default=NEVER)

    def at(self, now_ns: int) -> InForce:
        """What is in force at `now_ns`: a fault lasts from `at` to just before its end."""
        if now_ns >= self._next_ns:
            active = [fault for fault in self._faults if fault.at <= now_ns < fault.until]
            self._in_force = reduce(lambda rules, fault: fault.change(rules), active, InForce())
            ends = (time_ns for fault in self._faults for time_ns in (fault.at, fault.until) if time_ns > now_ns)
            self._next_ns = min(ends, default=NEVER)
        return self._in_force


@final
class EngineDelay(Fault):
    """Orders sent in this time take `latency` more than `liquidation.latency`; decisions are as prompt as ever."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("latency",),
            lambda own, market: not market.liquidation.enabled,
            "liquidation.enabled is false: the engine sends nothing",
        ),
    )
    type: Literal["engine_delay"] = "engine_delay"
    latency: Duration = Field(gt=0, description="Added to liquidation.latency")

    def change(self, rules: InForce) -> InForce:
        """Delays add up."""
        return replace(rules, latency_ns=rules.latency_ns + self.latency)


@final
class EngineOutage(Fault):
    """No scan: nobody is called in, closed or taken over; calls pile up and are worked off afterwards.

    BitMEX, 2020-03-13, about 45 min (B); Binance, 2021-05-19 (A, abstract).
    """

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("at",),
            lambda own, market: not market.liquidation.enabled,
            "liquidation.enabled is false: there is no engine to stand still",
        ),
    )
    type: Literal["engine_outage"] = "engine_outage"

    def change(self, rules: InForce) -> InForce:
        """No scans."""
        return replace(rules, engine_scans=False)


@final
class FrozenOracle(Fault):
    """The venue goes on believing the last index it has heard of (`sim.assets.oracle`); traders see the index itself.

    Maker, 2020-03-12 (A, B).
    """

    type: Literal["frozen_oracle"] = "frozen_oracle"

    def change(self, rules: InForce) -> InForce:
        """No report reaches the venue."""
        return replace(rules, oracle_moves=False)


@final
class StaleMark(Fault):
    """No new mark: nobody is called, no stop that watches the mark fires, the price band stays where it is."""

    type: Literal["stale_mark"] = "stale_mark"

    def change(self, rules: InForce) -> InForce:
        """The last mark stays in force."""
        return replace(rules, mark_moves=False)


@final
class Throttle(Fault):
    """At most `capacity` accounts a scan, whatever `liquidation.capacity` says."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("capacity",),
            lambda own, market: not market.liquidation.enabled,
            "liquidation.enabled is false: there is no engine to slow down",
        ),
        Idle(
            ("capacity",),
            lambda own, market: market.liquidation.enabled and own.capacity >= market.liquidation.capacity,
            "the engine handles no more than that anyway (liquidation.capacity)",
        ),
    )
    type: Literal["throttle"] = "throttle"
    capacity: int = Field(ge=0, description="Accounts handled in one scan")

    def change(self, rules: InForce) -> InForce:
        """The smaller of two throttles."""
        return replace(rules, capacity=self.capacity if rules.capacity is None else min(self.capacity, rules.capacity))


@final
class WrongTier(Fault):
    """Maintenance rates of all brackets are `factor` times what they should be, from the next mark on: above 1 accounts
    are called that should not be, below 1 they are called too late.  Deductions follow, so it stays continuous."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("factor",), lambda own, market: own.factor == 1, "the rates are multiplied by 1"),
    )
    type: Literal["wrong_tier"] = "wrong_tier"
    factor: float = Field(gt=0, le=100, description="Multiple of the maintenance rates in force")

    def change(self, rules: InForce) -> InForce:
        """Factors multiply."""
        return replace(rules, maintenance_factor=rules.maintenance_factor * self.factor)


FAULTS: Final[Registry[type[Fault]]] = Registry(
    "type of fault",
    Fault,
    {
        "engine_outage": EngineOutage,
        "throttle": Throttle,
        "engine_delay": EngineDelay,
        "frozen_oracle": FrozenOracle,
        "stale_mark": StaleMark,
        "wrong_tier": WrongTier,
    },
    key="type",
)
"""By `type` of an entry of a market's `faults`."""
AnyFault = Annotated[Fault, FAULTS]
