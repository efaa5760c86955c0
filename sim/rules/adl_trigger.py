"""When ADL begins: the equity that the insurance fund keeps by not taking over (docs/model.md, eq. 126)."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal, final

from pydantic import Field

from marginquake.sim.core.fields import SECOND, Duration, Fraction
from marginquake.sim.rules.adl_allocation import ADL_ALLOCATIONS, AllocationConfig
from marginquake.sim.rules.adl_ranking import ADL_RANKINGS, RankingConfig
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock


class AdlConfig(RuleBlock):
    """Auto-deleveraging, the last step of the waterfall: what the block has whatever its trigger."""

    ranking: Annotated[RankingConfig, ADL_RANKINGS] = Field(RankingConfig(), description="Who is closed first")
    allocation: Annotated[AllocationConfig, ADL_ALLOCATIONS] = Field(
        AllocationConfig(), description="How what must be closed is divided among ranked accounts"
    )
    price: Literal["bankruptcy", "previous_mark"] = Field(
        "bankruptcy", description="Both sides close at the bankruptcy price, or at the mark before the present one"
    )
    price_band: Fraction | None = Field(None, gt=0, description="ADL no further than this from the mark")
    trigger: str = "fund_empty"


class AdlTrigger(Rule, ABC):
    """Looks at the fund once a scan and says what equity it may not fall below by a takeover."""

    config_type: ClassVar[type[AdlConfig]] = AdlConfig

    def __init__(self, rules: AdlConfig) -> None:
        self.rules = rules

    @abstractmethod
    def observe(self, time_ns: int, fund_equity: int) -> None:
        """The fund's equity at the mark as a scan begins, money."""

    @abstractmethod
    def least_equity(self) -> int:
        """Equity that the fund keeps, money: a takeover that would leave less goes to ADL instead."""

    def refused(self) -> None:
        """A takeover has just gone to ADL."""


@final
class FundEmpty(AdlTrigger):
    """The fund is gone: Binance, BitMEX, dYdX (grade A)."""

    def observe(self, time_ns: int, fund_equity: int) -> None:
        """Nothing to remember."""

    def least_equity(self) -> int:
        """Zero."""
        return 0


@final
class FundDrawdown(AdlTrigger):
    """The fund has lost `drawdown` of its highest equity of the last `window`, until it has lost no more than `resume`.

    Bybit: 8 h; -30 % and back at -25 % (`insurancePnlRatio`, R), 100 % since November 2025 (help page, grade A).
    """

    class Config(AdlConfig):
        """The block with `trigger: fund_drawdown`."""

        drawdown: Fraction = Field(0.3, ge=0, le=1, description="Loss from the fund's high that begins ADL")
        resume: Fraction = Field(0.25, ge=0, le=1, description="Loss from the high at which ADL ends")
        window: Duration = Field(8 * 3600 * SECOND, gt=0, description="How far back the fund's high lies")

        def problems(self) -> Iterator[tuple[str, str, str]]:
            """It ends after it has begun."""
            if self.resume > self.drawdown:
                message = f"must be at most drawdown ({self.drawdown:g}): ADL ends before it begins again"
                yield "resume", message, f"{self.resume:g}"

    rules: Config

    def __init__(self, rules: Config) -> None:
        super().__init__(rules)
        self._highs: deque[tuple[int, int]] = deque()
        self._stopped = False

    def observe(self, time_ns: int, fund_equity: int) -> None:
        """Keep the highs of the window: times and equities, both falling towards the past."""
        while self._highs and self._highs[-1][1] <= fund_equity:
            self._highs.pop()
        self._highs.append((time_ns, fund_equity))
        while self._highs[0][0] < time_ns - self.rules.window:
            self._highs.popleft()
        if fund_equity < self._kept(self.rules.drawdown):
            self._stopped = True
        elif fund_equity >= self._kept(self.rules.resume):
            self._stopped = False

    def least_equity(self) -> int:
        """A share of the high, a larger one while ADL is on."""
        return self._kept(self.rules.resume if self._stopped else self.rules.drawdown)

    def refused(self) -> None:
        """ADL is on."""
        self._stopped = True

    def _kept(self, drawdown: float) -> int:
        high = self._highs[0][1] if self._highs else 0
        return max(0, high - int(high * drawdown))


ADL_TRIGGERS: Final[Registry[type[AdlTrigger]]] = Registry(
    "trigger", AdlTrigger, {"fund_empty": FundEmpty, "fund_drawdown": FundDrawdown}, key="trigger", default="fund_empty"
)
"""By the name in `venue.adl.trigger`."""
