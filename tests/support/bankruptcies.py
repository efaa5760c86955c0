"""Traders with positions given by hand before a waterfall: who is taken over, and what the fund and others pay."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, AccountTable
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import BracketSchedule, default_brackets
from marginquake.sim.core.records import MarginMode, Stage
from marginquake.sim.market.streams import Stream
from marginquake.sim.scenario.config import VenueConfig
from marginquake.sim.venue.waterfall import Waterfall

CONTRACT = ContractSpec("BTC", Decimal(1), Decimal("0.001"), Decimal(1), Decimal("0.000001"), 200_000, 50_000_000)
VALUE = CONTRACT.lot_value.at_one_tick
BRACKETS = BracketSchedule.from_config(default_brackets(), CONTRACT)
INVERSE = ContractSpec(
    "BTC", Decimal(1), Decimal(60), Decimal(1), Decimal("1e-8"), 200_000, 5_000_000, True, Decimal(60_000)
)
"""60 quote units a lot: at the initial price as much as a lot of the linear one."""
ENTRY = 60_000
CONTRACTS = st.sampled_from([CONTRACT, INVERSE])


@dataclass
class Trader:
    """One row: signed lots, entry price, and collateral in quote units."""

    lots: int = 0
    collateral: float = 1000.0
    entry: int = ENTRY
    isolated: float | None = None
    extra_cost: int = 0
    stage: Stage = Stage.OK


@dataclass
class Market:
    table: AccountTable
    waterfall: Waterfall
    mark: int
    first: int = SYSTEM_ROWS
    deposits: int = field(init=False)

    def __post_init__(self) -> None:
        self.deposits = self.net()

    @property
    def rows(self) -> NDArray[Any]:
        return self.table.rows

    def net(self) -> int:
        return int(self.rows["collateral"].sum() - self.rows["cost"].sum())

    def check(self) -> None:
        assert self.rows["position_lots"].sum() == 0, "every long lot has a short lot"
        assert self.net() == self.deposits, "money is neither made nor lost"
        flat = self.rows["position_lots"] == 0
        assert (self.rows["cost"][flat] == 0).all(), "nobody pays for no position"
        assert (self.rows["isolated_margin"][flat] == 0).all()

    def lots(self, place: int) -> int:
        return int(self.rows["position_lots"][self.first + place])

    def collateral(self, place: int) -> int:
        return int(self.rows["collateral"][self.first + place])


def rules(band: float | None = None, insurance: dict[str, Any] | None = None, **adl: Any) -> VenueConfig:
    return VenueConfig.model_validate({"adl": {"price_band": band, **adl}, "insurance": insurance or {}})


def market(
    traders: list[Trader],
    mark: int = ENTRY,
    fund: float = 0.0,
    fund_lots: int = 0,
    venue: VenueConfig | None = None,
    previous: int = 0,
    contract: ContractSpec = CONTRACT,
) -> Market:
    table = AccountTable(SYSTEM_ROWS + len(traders), contract.lot_value)
    rows = table.claim(0, len(traders))
    everyone = [(INSURANCE_ROW, Trader(fund_lots, fund)), *zip(rows.tolist(), traders, strict=True)]
    for row, trader in everyone:
        table.rows["position_lots"][row] = trader.lots
        cost = trader.lots * contract.lot_value.value_of_lot(trader.entry)
        table.rows["cost"][row] = cost + trader.extra_cost * (trader.lots != 0)
        table.rows["collateral"][row] = contract.to_money(trader.collateral)
        table.rows["stage"][row] = trader.stage
        if trader.isolated is not None:
            table.rows["mode"][row] = MarginMode.ISOLATED
            table.rows["isolated_margin"][row] = contract.to_money(trader.isolated)
    brackets = BracketSchedule.from_config(default_brackets(), contract)
    unit = 1 / contract.money_amount
    waterfall = Waterfall(table, brackets, money_per_quote=unit, rules=venue, draws=Stream(7, "adl"))
    waterfall.set_mark(mark, 0, previous)
    return Market(table, waterfall, mark)


TRADER = st.builds(
    Trader,
    lots=st.integers(-3000, 3000),
    collateral=st.integers(-500, 20_000).map(float),
    entry=st.integers(50_000, 70_000),
    isolated=st.none() | st.integers(-200, 3000).map(float),
    extra_cost=st.integers(-999, 999),
    stage=st.sampled_from(Stage),
)
