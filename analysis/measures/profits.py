"""Profit by population: trading, forced losses, fees, spot hedges."""

from dataclasses import dataclass
from typing import final

from marginquake.analysis.frames.market import MarketFrames
from marginquake.sim.core.typing import Floats

FEES_POPULATION, FUND, ROUNDING = "fees", "insurance", "rounding"
"""The venue's own rows of the ledger."""
SYSTEM_LABELS = {FEES_POPULATION: "venue (fees)", FUND: "insurance fund"}
PROFIT_PARTS = {"trading": "trading", "forced": "of liquidated accounts", "fees": "fees", "spot": "spot hedges"}
"""Fields of a result whose sum is its total, and how they are called."""


@final
@dataclass(frozen=True)
class PopulationResult:
    """Profit of one population over the run, quote units; the four parts add up to `total`.

    `trading` (of accounts never liquidated) and `forced` (of liquidated ones) are before fees; `fees` is negative where
    they were paid; `spot` is the profit of hedges outside the market.
    """

    population: str
    accounts: int
    called: int
    liquidated: int
    trading: float
    forced: float
    fees: float
    spot: float

    @property
    def total(self) -> float:
        """All parts together."""
        return self.trading + self.forced + self.fees + self.spot


def results_by_population(market: MarketFrames) -> list[PopulationResult]:
    """Results in order of `total`, worst first.

    Collateral added during the run is no profit and is taken out; what the venue's fee account earned counts as `fees`.
    """
    accounts = market.accounts
    if not accounts:
        return []
    equity: Floats = accounts["equity_end"] - accounts["equity_start"]
    before_fees = equity - accounts["deposits_added"] + accounts["fees_paid"]
    populations = accounts["population"].astype(str)
    liquidated = accounts["liquidated"].astype(bool)
    found = []
    for name in dict.fromkeys(populations.tolist()):
        own = populations == name
        income = name == FEES_POPULATION
        trading, fees = float(before_fees[own & ~liquidated].sum()), -float(accounts["fees_paid"][own].sum())
        found.append(
            PopulationResult(
                population=name,
                accounts=int(own.sum()),
                called=int(accounts["margin_called"][own].sum()),
                liquidated=int(liquidated[own].sum()),
                trading=0.0 if income else trading,
                forced=float(before_fees[own & liquidated].sum()),
                fees=trading + fees if income else fees,
                spot=float(accounts["spot_pnl"][own].sum()),
            )
        )
    return sorted(found, key=lambda result: result.total)


def shown_results(market: MarketFrames) -> list[PopulationResult]:
    """`results_by_population` without the ledger's row of roundings, unless it has a size."""
    return [each for each in results_by_population(market) if each.population != ROUNDING or abs(each.total) >= 1.0]


def population_label(name: str) -> str:
    """How a population is called in figures and tables."""
    return SYSTEM_LABELS.get(name, name.replace("_", " "))
