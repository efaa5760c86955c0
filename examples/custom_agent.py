"""One trader of your own as one Mesa agent, and a Mesa DataCollector on the model.

    python examples/custom_agent.py                 # this file: steps the model itself
    marginquake run examples/one_trader.yaml        # the same market, with run directory and report

`one_trader.yaml` names the class below as `type: custom_agent:PanicSeller`; nothing has to be registered.
"""

from pathlib import Path
from typing import Any, ClassVar, final

import pandas as pd
from mesa.datacollection import DataCollector
from pydantic import Field

from marginquake import MarketModel, load_scenario
from marginquake.agents import (
    AGENT_TYPES,
    Amount,
    Flag,
    Fraction,
    MarketView,
    OrderEntry,
    Participant,
    ParticipantConfig,
    Side,
)

SCENARIO = Path(__file__).with_name("one_trader.yaml")


class PanicSellerConfig(ParticipantConfig):
    """Traits of `PanicSeller`, checked when the scenario is read."""

    notional: Amount = Field(50_000.0, gt=0, description="Bought at the start, quote units")
    max_drawdown: Fraction = Field(0.1, gt=0, lt=1, description="Loss of the deposit at which it sells everything")


@final
class PanicSeller(Participant):
    """Buys once at t = 0, holds, and market-sells everything when `max_drawdown` of the deposit is lost."""

    config_type = PanicSellerConfig
    config: PanicSellerConfig
    example: ClassVar[dict[str, Any]] = {"type": "custom_agent:PanicSeller", "deposit": 10_000, "leverage": 10}

    has_bought = False

    @property
    def equity(self) -> float:
        """Equity of its account at the mark that it saw last, quote units."""
        return self.contract.to_amount(float(self.accounts.equity(self._mark_ticks)[0]))

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Look at the market and send orders; called every `decision_interval`."""
        self._mark_ticks = market.mark_ticks
        if market.now_ns < 0 or not market.two_sided:
            return
        held = int(self.accounts.position_lots[0])
        if not self.has_bought:
            self.has_bought = True
            lots = round(self.contract.lots_for(self.config.notional, market.best_ask_ticks))
            orders.market(self.rows, Side.BUY, lots, bound_ticks=round(1.01 * market.mid_ticks))
        elif held > 0 and self.equity < (1 - self.config.max_drawdown) * float(self.config.deposit):
            bound = round(0.98 * market.mid_ticks)
            orders.market(self.rows, Side.SELL, held, bound_ticks=bound, flags=Flag.REDUCE_ONLY)


def collect(seed: int = 1) -> pd.DataFrame:
    """Run the scenario step by step; one row a step."""
    model = MarketModel(load_scenario(SCENARIO), AGENT_TYPES, seed=seed)
    venue = model.sessions[0].venue
    trader: Any = next(agent for agent in model.agents if getattr(agent, "name", "") == "trader")
    collector = DataCollector(
        model_reporters={
            "time_s": lambda m: m.now_ns / 1e9,
            "index": lambda m: venue.contract.to_price(venue.index.index_ticks),
            "mark": lambda m: venue.contract.to_price(venue.exchange.mark_ticks),
            "position_lots": lambda m: int(trader.accounts.position_lots[0]),
            "equity": lambda m: trader.equity,
        }
    )
    for _ in range(model.steps_total):
        model.step()
        if model.now_ns >= 0:
            collector.collect(model)
    return collector.get_model_vars_dataframe()


def main() -> None:
    """Print the trader's story."""
    rows = collect()
    print(rows.iloc[:: len(rows) // 12].to_string(index=False, float_format=lambda value: f"{value:,.1f}"))
    sold = rows[(rows["position_lots"] == 0) & (rows["position_lots"].cummax() > 0)]
    if len(sold):
        print(f"panicked at {sold['time_s'].iloc[0]:.1f} s with {sold['equity'].iloc[0]:,.0f} of equity left")


if __name__ == "__main__":
    main()
