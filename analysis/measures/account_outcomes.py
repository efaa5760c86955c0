"""What became of single accounts: who was called, sold or left out, and what each gained or lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import Stage
from marginquake.sim.core.typing import Bools, Floats, Ints

HEADINGS = (
    "account", "id", "population", "side", "leverage", "entry", "position at the start", "called", "sold from",
    "forced", "by ADL", "profit",
)  # fmt: skip
NO_IDS = tuple(heading for heading in HEADINGS if heading != "id")


@final
@dataclass(frozen=True)
class AccountOutcome:
    """One account over a run, quote units.

    `side`: of the position at the start, +1 long, 0 none.  `notional`: of that position at its entry price.
    `called_s`, `sold_s`: its first margin call and the beginning of its first forced sale, seconds; nan where there was
    none or the audit log was not kept (`called`, `liquidated` are known anyway).  `profit`: change of equity, deposits
    taken out, spot hedges included.
    """

    account: int
    id: str
    population: str
    side: int
    leverage: float
    entry: float
    notional: float
    called: bool
    called_s: float
    liquidated: bool
    sold_s: float
    forced: float
    adl: float
    profit: float


def from_a_book(market: MarketFrames) -> Bools:
    """Which accounts a user's file stated; nobody in runs without one."""
    accounts = market.accounts
    if "line" not in accounts:
        return np.zeros(len(accounts.get("row", ())), np.bool_)
    return np.asarray(accounts["line"] > 0, np.bool_)


def were_touched(market: MarketFrames) -> Bools:
    """Which traders' accounts were called, sold by force or closed by ADL."""
    accounts = market.accounts
    hit = accounts["margin_called"].astype(np.bool_) | accounts["liquidated"].astype(np.bool_)
    return np.asarray((hit | (accounts["adl_notional"] > 0)) & (accounts["row"] >= SYSTEM_ROWS), np.bool_)


def outcomes(market: MarketFrames, chosen: Bools) -> list[AccountOutcome]:
    """The chosen accounts, the largest loss first."""
    accounts = market.accounts
    profit: Floats = accounts["equity_end"] - accounts["equity_start"] - accounts["deposits_added"]
    profit = profit + accounts["spot_pnl"]
    places = np.flatnonzero(chosen)
    places = places[np.argsort(profit[places], kind="stable")]
    called_s, sold_s = _first(market, Stage.CALLED), _first(market, Stage.LIQUIDATING)
    lots: Ints = accounts["position_start"]
    entry: Floats = accounts["entry_start"]
    notional = market.contract.notional(np.abs(lots), np.nan_to_num(entry, nan=1.0) / market.contract.to_price(1.0))
    found = []
    for place in places.tolist():
        row = int(accounts["row"][place])
        found.append(
            AccountOutcome(
                account=row,
                id=market.account_ids.get(row, ""),
                population=str(accounts["population"][place]),
                side=int(np.sign(lots[place])),
                leverage=float(accounts["leverage"][place]),
                entry=float(entry[place]),
                notional=float(notional[place]),
                called=bool(accounts["margin_called"][place]),
                called_s=called_s.get(row, np.nan),
                liquidated=bool(accounts["liquidated"][place]),
                sold_s=sold_s.get(row, np.nan),
                forced=float(accounts["forced_notional"][place]),
                adl=float(accounts["adl_notional"][place]),
                profit=float(profit[place]),
            )
        )
    return found


def cells(outcome: AccountOutcome, with_id: bool) -> tuple[str, ...]:
    """One line of a table under `HEADINGS`, or `NO_IDS`."""
    side = {1: "long", -1: "short", 0: ""}[outcome.side]
    sign = "+" if outcome.profit > 0 else "\u2212" if outcome.profit < 0 else ""
    return (
        str(outcome.account),
        *([outcome.id] if with_id else []),
        outcome.population,
        side,
        f"{outcome.leverage:.4g}",
        formats.price(outcome.entry) if outcome.side else "",
        formats.short_number(outcome.notional) if outcome.side else "",
        _when(outcome.called, outcome.called_s),
        _when(outcome.liquidated, outcome.sold_s),
        formats.short_number(outcome.forced) if outcome.forced else "",
        formats.short_number(outcome.adl) if outcome.adl else "",
        sign + formats.short_number(abs(outcome.profit)),
    )


def left_out(market: MarketFrames) -> Sequence[tuple[int, str, str]]:
    """Line, id and reason of the rows of a book that could not be opened."""
    accounts = market.accounts
    if "left_out" not in accounts:
        return ()
    places = np.flatnonzero(accounts["left_out"].astype(str) != "")
    columns = (accounts[name][places].tolist() for name in ("line", "id", "left_out"))
    return [(int(line), str(name), str(why)) for line, name, why in zip(*columns, strict=True)]


def _when(happened: bool, time_s: float) -> str:
    if not happened:
        return ""
    return "yes" if time_s != time_s else formats.clock(time_s)


def _first(market: MarketFrames, stage: Stage) -> dict[int, float]:
    """When each account first came to a stage, by row; nothing where the audit log was not kept."""
    audit = market.audit
    if not audit:
        return {}
    reached = np.flatnonzero((audit["to_stage"] == stage) & (audit["time_s"] >= 0))
    rows, first = np.unique(audit["account"][reached], return_index=True)
    return dict(zip(rows.tolist(), audit["time_s"][reached][first].tolist(), strict=True))
