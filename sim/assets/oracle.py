"""Between the index and the venue: what the venue believes the index is."""

import math
from collections import deque
from typing import ClassVar, final

from pydantic import Field

from marginquake.sim.core.fields import SECOND, Block, Duration, Fraction, Idle


class OracleConfig(Block):
    """What the venue believes the index is: its marks and funding see this; participants see the index itself.

    Like Chainlink's feeds: `{period: 12s, deviation: 0.5%, heartbeat: 3600s}`.
    """

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("heartbeat",), lambda own, market: own.deviation == 0, "deviation is 0: every look is reported"),
    )
    period: Duration = Field(0, ge=0, description="The oracle looks at the index this often; 0 = at every step")
    deviation: Fraction = Field(0.0, ge=0, lt=1, description="It reports a move of this much since its last report")
    heartbeat: Duration = Field(3600 * SECOND, gt=0, description="It reports at least this often, whatever the move")
    delay: Duration = Field(0, ge=0, description="From the look to the venue")


@final
class Oracle:
    """Looks at the index every `period`, reports a move of `deviation`, or after a `heartbeat`; a report takes `delay`.

    Eq. 145.  Chainlink's feeds report on deviation and heartbeat (R+).  Set `frozen` and nothing reaches the venue
    any more until it is unset: a report that is still under way arrives when it is unset.  The
    first price ever seen is believed at once.  The outside index is not touched, and traders go on seeing it.
    """

    def __init__(self, config: OracleConfig) -> None:
        self.frozen = False
        self.delay_ns = config.delay
        self.index_ticks = math.nan
        """The index as the venue has it."""
        self._config = config
        self._prompt = config.period == 0 and config.deviation == 0.0
        self._reported_ticks = math.nan
        self._reported_ns = 0
        self._under_way: deque[tuple[int, float]] = deque()

    def observe(self, now_ns: int, index_ticks: float) -> None:
        """The index at `now_ns`; called once a step, in order of time."""
        if self.frozen and not math.isnan(self.index_ticks):
            return
        if self._prompt and self.delay_ns == 0 and not self._under_way:
            self.index_ticks = index_ticks
            return
        if self._reports(now_ns, index_ticks):
            self._reported_ticks, self._reported_ns = index_ticks, now_ns
            self._under_way.append((now_ns + self.delay_ns, index_ticks))
        while self._under_way and self._under_way[0][0] <= now_ns:
            self.index_ticks = self._under_way.popleft()[1]
        if math.isnan(self.index_ticks):
            self.index_ticks = index_ticks

    def _reports(self, now_ns: int, index_ticks: float) -> bool:
        config = self._config
        if config.period and now_ns % config.period:
            return False
        if math.isnan(self._reported_ticks) or now_ns - self._reported_ns >= config.heartbeat:
            return True
        return abs(index_ticks / self._reported_ticks - 1.0) >= config.deviation
