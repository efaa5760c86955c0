"""The index: a fundamental displaced by the spot hedging of this market's participants (docs/model.md, eq. 15a)."""

import math
from typing import ClassVar, final

from pydantic import Field

from marginquake.sim.assets.fundamentals import (
    FUNDAMENTALS,
    AnyFundamental,
    Fundamental,
    FundamentalContext,
    GbmConfig,
    ShockConfig,
    Shocked,
)
from marginquake.sim.core.fields import SECOND, Block, Duration, Idle

LOWEST_TICKS, HIGHEST_TICKS = 1e-9, 1e18
"""What a fundamental is kept between, ticks: it stays a price, however absurd the path."""
FURTHEST = 20.0
"""Log of index over fundamental at most, either way: far beyond any ladder, and still a price."""


class FeedbackConfig(Block):
    """How far hedging on spot moves the index: `one_percent_depth_d1` units of D1 move it 1 %, before decay."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("one_percent_depth_d1", "decay", "weights"),
            lambda own, market: not own.enabled,
            "enabled is false: hedging does not move the index",
        ),
    )
    enabled: bool = True
    one_percent_depth_d1: float = Field(1.05, gt=0)
    decay: tuple[Duration, ...] = (20 * SECOND, 200 * SECOND, 2000 * SECOND)
    weights: tuple[float, ...] = (0.5, 0.35, 0.15)


class IndexConfig(Block):
    """The outside reference: fundamental times exp(displacement by this market's hedgers)."""

    fundamental: AnyFundamental = GbmConfig()
    shocks: tuple[ShockConfig, ...] = ()
    feedback: FeedbackConfig = FeedbackConfig()


def build_fundamental(config: IndexConfig, context: FundamentalContext) -> Fundamental:
    """The fundamental that a scenario asks for, with its declared shocks."""
    fundamental: Fundamental = FUNDAMENTALS.make(config.fundamental, context)
    return Shocked(fundamental, config.shocks) if config.shocks else fundamental


@final
class Index:
    """X = F * exp(y): the fundamental F, displaced by the spot flow of this market's hedgers (eq. 15a).

    y is a sum of components; a net purchase of Q quote units adds weight_k * 1 % * Q / Q_1% to each, and each decays
    with its own time scale.  Q_1% = `one_percent_depth_d1` * D1.  Disabled, y stays 0: a pure replay.
    """

    def __init__(self, fundamental: Fundamental, config: FeedbackConfig, depth_1pct: float) -> None:
        if len(config.decay) != len(config.weights):
            raise ValueError(
                f"index.feedback: {len(config.decay)} decay times but {len(config.weights)} weights; give as many"
            )
        self._fundamental = fundamental
        self._config = config
        self.one_percent_depth = config.one_percent_depth_d1 * depth_1pct
        self._components = [0.0] * len(config.weights)
        self._displaced = False
        self._decays: tuple[float, ...] = ()
        self._decay_step_ns = 0
        self.fundamental_ticks = math.nan
        self.index_ticks = math.nan

    @property
    def displacement(self) -> float:
        """y: log of index over fundamental."""
        return math.fsum(self._components)

    def advance(self, now_ns: int, step_ns: int) -> float:
        """Move to `now_ns`, `step_ns` after the last call; the index in ticks."""
        if step_ns != self._decay_step_ns:
            self._decays = tuple(math.exp(-step_ns / tau) for tau in self._config.decay)
            self._decay_step_ns = step_ns
        if self._displaced:
            self._components = [y * decay for y, decay in zip(self._components, self._decays, strict=True)]
        self.fundamental_ticks = min(max(self._fundamental.advance(now_ns), LOWEST_TICKS), HIGHEST_TICKS)
        self._refresh()
        return self.index_ticks

    def push(self, signed_notional: float) -> None:
        """A net purchase (+) or sale (-) of this many quote units on spot; it moves the index at once."""
        if not self._config.enabled:
            return
        self._displaced = True
        push = 0.01 * signed_notional / self.one_percent_depth
        self._components = [y + weight * push for y, weight in zip(self._components, self._config.weights, strict=True)]
        self._refresh()

    def _refresh(self) -> None:
        self.index_ticks = self.fundamental_ticks
        if self._displaced:
            self.index_ticks *= math.exp(min(max(self.displacement, -FURTHEST), FURTHEST))
