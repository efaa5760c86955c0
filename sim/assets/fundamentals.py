"""Fundamentals: the value of an asset that nobody in the market moves, each with its YAML block.

Prices are ticks (floats), time is ns from the end of the warm-up (negative before it).  Every draw is addressed by
time, so that a twin run sees the same path.  Equation numbers are those of docs/model.md.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marginquake.sim.assets.price_path import FundamentalConfig, ReplayConfig, load_price_path
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.fields import SECOND, Block, Duration, Fraction, Idle
from marginquake.sim.rules.registry import Registry, Rule

if TYPE_CHECKING:
    from marginquake.sim.market.streams import Stream


class JumpConfig(Block):
    """Merton jumps of the fundamental."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("mean", "deviation"), lambda own, market: own.per_day == 0, "per_day is 0: there are no jumps"),
        Idle(
            ("per_day", "mean"),
            lambda own, market: own.mean == own.deviation == 0,
            "mean and deviation are 0: jumps have no size",
        ),
    )
    per_day: float = Field(ge=0)
    mean: Fraction = 0.0
    deviation: Fraction = Field(0.01, ge=0)


class StochasticVolatilityConfig(Block):
    """Log-volatility as an Ornstein-Uhlenbeck process; the mean of the variance stays that of `volatility`."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("time_scale",), lambda own, market: own.deviation == 0, "deviation is 0: volatility stands still"),
    )
    deviation: float = Field(0.4, ge=0, description="Stationary standard deviation of log-volatility")
    time_scale: Duration = Field(20_000 * SECOND, gt=0)


class GbmConfig(FundamentalConfig):
    """Geometric Brownian motion with optional jumps and stochastic volatility."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("stochastic_volatility",),
            lambda own, market: own.volatility == 0,
            "volatility is 0: there is none that could move",
        ),
    )
    type: Literal["gbm"] = "gbm"
    volatility: Fraction = Field(0.6, ge=0, description="Per year")
    drift: Fraction = Field(0.0, description="Per year")
    jumps: JumpConfig | None = None
    stochastic_volatility: StochasticVolatilityConfig | None = None


class ShockConfig(Block):
    """A declared move of the outside fundamental: `log_return` spread evenly over `over`, from `at` on."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("log_return", "over", "at"), lambda own, market: own.log_return == 0, "log_return is 0: nothing moves"),
    )
    at: Duration
    log_return: Fraction
    over: Duration = Field(1 * SECOND, gt=0)


YEAR_SECONDS = 365 * 86_400
"""Markets that never close: a year of volatility has 365 days."""
BRIDGE_RESOLUTION_NS = 10_000_000
BRIDGE_MAX_LEVELS = 13
IDLE_BLOCK_NS = 600 * SECOND
"""Outside the recorded times a replay wanders in bridges of this length, each pinned at both ends."""


@final
@dataclass(frozen=True, slots=True)
class FundamentalContext:
    """What a fundamental is given: contract, price at the start, step, its stream, folder of the scenario file."""

    contract: ContractSpec
    initial_ticks: float
    step_ns: int
    stream: "Stream"
    folder: Path


class Fundamental(Rule, ABC):
    """The latent value of the asset; nobody in the market moves it."""

    config_type: ClassVar[type[FundamentalConfig]] = FundamentalConfig

    def __init__(self, config: Any = None, context: FundamentalContext | None = None) -> None:
        self.config = config
        self.context = context

    @abstractmethod
    def advance(self, now_ns: int) -> float:
        """The price in ticks at `now_ns`; called once a step, in order of time."""


@final
class GeometricBrownian(Fundamental):
    """Geometric Brownian motion with optional Merton jumps and stochastic volatility (eq. 13, 14).

    Exact discretisation: steps of any length give the right law.  It starts at `initial_ticks` at the first call.
    `drift` is that of the expected price: jumps are compensated.  Log-volatility is a stationary Ornstein-Uhlenbeck
    process x with standard deviation d; sigma_t = volatility * exp(x_t - d^2), so that E[sigma_t^2] = volatility^2.
    Jumps come on top of that variance.
    """

    config_type = GbmConfig

    def __init__(self, config: GbmConfig, context: FundamentalContext) -> None:
        self._config = config
        self._initial_ticks = context.initial_ticks
        self._step_ns = context.step_ns
        self._price_draws = _StepNormals(context.stream)
        self._volatility_draws = _StepNormals(context.stream.child("volatility"))
        self._count_stream = context.stream.child("jump_counts")
        self._size_stream = context.stream.child("jump_sizes")
        self._last_ns: int | None = None
        self._moved_ns = 0
        self._log = 0.0
        self._log_volatility = 0.0
        self.jump_count = 0

    @property
    def volatility(self) -> float:
        """Volatility per year at this moment."""
        memory = self._config.stochastic_volatility
        if memory is None or memory.deviation == 0.0:
            return self._config.volatility
        return self._config.volatility * math.exp(self._log_volatility - memory.deviation**2)

    def advance(self, now_ns: int) -> float:
        """The price in ticks at `now_ns`."""
        step = now_ns // self._step_ns
        if self._last_ns is None:
            self._start_volatility(step)
        elif now_ns > self._last_ns:
            self._move(step, now_ns - self._last_ns)
        self._last_ns = now_ns
        return self._initial_ticks * math.exp(self._log)

    def _start_volatility(self, step: int) -> None:
        memory = self._config.stochastic_volatility
        if memory is not None:
            self._log_volatility = memory.deviation * self._volatility_draws.at(step)

    def _move(self, step: int, elapsed_ns: int) -> None:
        if elapsed_ns != self._moved_ns:
            self._prepare(elapsed_ns)
        sigma = self.volatility
        self._log += (self._config.drift - 0.5 * sigma * sigma) * self._years
        if sigma > 0.0:
            self._log += sigma * self._root_years * self._price_draws.at(step)
        if self._remembers:
            self._log_volatility *= self._decay
            self._log_volatility += self._shock * self._volatility_draws.at(step)
        if self._jumps:
            self._jump(step, elapsed_ns / SECOND)

    def _prepare(self, elapsed_ns: int) -> None:
        """What depends on the length of a step alone."""
        self._moved_ns = elapsed_ns
        seconds = elapsed_ns / SECOND
        self._years = seconds / YEAR_SECONDS
        self._root_years = math.sqrt(self._years)
        memory, jumps = self._config.stochastic_volatility, self._config.jumps
        self._remembers = memory is not None and memory.deviation != 0.0
        self._jumps = jumps is not None and jumps.per_day != 0.0
        if memory is not None:
            self._decay = math.exp(-seconds * SECOND / memory.time_scale)
            self._shock = memory.deviation * math.sqrt(1.0 - self._decay * self._decay)

    def _jump(self, step: int, seconds: float) -> None:
        jumps = self._config.jumps
        if jumps is None:
            return
        expected = jumps.per_day * seconds / 86_400
        self._log -= expected * (math.exp(jumps.mean + 0.5 * jumps.deviation**2) - 1.0)
        count = self._count_stream.poisson(step, expected)
        if count:
            self.jump_count += count
            for size in self._size_stream.normal(step, count).tolist():
                self._log += jumps.mean + jumps.deviation * size


@final
class _StepNormals:
    """One standard normal a step, a pure function of the step; drawn 256 steps at a time, which is cheaper."""

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._block: int | None = None
        self._values: list[float] = []

    def at(self, step: int) -> float:
        """The draw of this step."""
        block, place = step >> 8, step & 255
        if block != self._block:
            self._values = self._stream.normal(block, 256).tolist()
            self._block = block
        return self._values[place]


@final
class Replay(Fundamental):
    """A recorded path; between its points a Brownian bridge in log price, so that each point is met exactly (eq. 15).

    The price is a pure function of time: steps of any length see the same path.  Time 0 is the first point; before it
    (the warm-up) and after the last point the price wanders in pinned bridges around the nearest recorded price.
    """

    config_type = ReplayConfig

    def __init__(self, config: ReplayConfig, context: FundamentalContext) -> None:
        path = load_price_path(config, context.folder)
        tick = float(context.contract.tick_size)
        factor = context.initial_ticks / path.prices[0] if config.rescale else 1.0 / tick
        self._times = list(path.times_ns)
        self._logs = [math.log(price * factor) for price in path.prices]
        self._volatility = config.bridge_volatility
        self._bridges = _Bridges(context.stream)

    @property
    def duration_ns(self) -> int:
        """Time of the last recorded point."""
        return self._times[-1]

    def advance(self, now_ns: int) -> float:
        """The price in ticks at `now_ns`."""
        times, logs = self._times, self._logs
        if now_ns < 0:
            block = now_ns // IDLE_BLOCK_NS
            return math.exp(logs[0] + self._wander(block, now_ns - block * IDLE_BLOCK_NS, IDLE_BLOCK_NS))
        if now_ns >= times[-1]:
            block, offset = divmod(now_ns - times[-1], IDLE_BLOCK_NS)
            return math.exp(logs[-1] + self._wander(len(times) + block, offset, IDLE_BLOCK_NS))
        segment = bisect_right(times, now_ns) - 1
        length = times[segment + 1] - times[segment]
        offset = now_ns - times[segment]
        line = logs[segment] + (logs[segment + 1] - logs[segment]) * (offset / length)
        return math.exp(line + self._wander(segment, offset, length))

    def _wander(self, segment: int, offset_ns: int, length_ns: int) -> float:
        if self._volatility == 0.0 or offset_ns == 0:
            return 0.0
        scale = self._volatility * math.sqrt(length_ns / SECOND / YEAR_SECONDS)
        return scale * self._bridges.at(segment, offset_ns, length_ns)


@final
class _Bridges:
    """Standard Brownian bridges on [0, 1], one a segment, by Levy's midpoint construction; linear between nodes 10 ms
    apart (or 1/8192 of a segment longer than 82 s)."""

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._segment: int | None = None
        self._nodes: NDArray[np.float64] = np.zeros(2)

    def at(self, segment: int, offset_ns: int, length_ns: int) -> float:
        """Value of this segment's bridge after `offset_ns` of `length_ns`."""
        if segment != self._segment:
            self._nodes = self._build(segment, length_ns)
            self._segment = segment
        place = offset_ns / length_ns * (len(self._nodes) - 1)
        node = min(int(place), len(self._nodes) - 2)
        left, right = float(self._nodes[node]), float(self._nodes[node + 1])
        return left + (right - left) * (place - node)

    def _build(self, segment: int, length_ns: int) -> NDArray[np.float64]:
        levels = min(BRIDGE_MAX_LEVELS, max(0, math.ceil(math.log2(length_ns / BRIDGE_RESOLUTION_NS))))
        count = 1 << levels
        nodes = np.zeros(count + 1)
        draws = self._stream.normal(segment, count - 1)
        used = 0
        for level in range(levels):
            gap = count >> level
            middles = nodes[gap // 2 :: gap]
            spread = 0.5 * math.sqrt(gap / count)
            middles[:] = 0.5 * (nodes[:-1:gap] + nodes[gap::gap]) + spread * draws[used : used + len(middles)]
            used += len(middles)
        return nodes


@final
class Shocked(Fundamental):
    """Another fundamental with declared shocks added to its log price, each spread evenly over its duration."""

    def __init__(self, inner: Fundamental, shocks: Sequence[ShockConfig]) -> None:
        self._inner = inner
        self._shocks = tuple(shocks)

    def advance(self, now_ns: int) -> float:
        """The price in ticks at `now_ns`."""
        shift = 0.0
        for shock in self._shocks:
            shift += shock.log_return * min(max((now_ns - shock.at) / shock.over, 0.0), 1.0)
        return self._inner.advance(now_ns) * math.exp(shift)


FUNDAMENTALS: Final[Registry[type[Fundamental]]] = Registry(
    "fundamental", Fundamental, {"gbm": GeometricBrownian, "replay": Replay}, key="type", default="gbm"
)
"""By `type` in `index.fundamental`; each is made from (config, context)."""
AnyFundamental = Annotated[FundamentalConfig, FUNDAMENTALS]
