"""Order books drawn as text, and a market that speaks in them.

A drawing has one line a price, best ask above best bid; a letter is an account (A = the first trader), the number its
lots, oldest order first:

        | 103 | A5 B2
        | 101 | C1
    B4  |  99 |
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.records import COMMAND, Cause, EventKind, Flag, OrderKind, Reject, Side
from marginquake.sim.core.valuation import LotValue

SIDES = (Side.BUY, Side.SELL)


def row_of(letter: str) -> int:
    """Row of trader `A`, `B`, ..."""
    return SYSTEM_ROWS + ord(letter) - ord("A")


def letter_of(row: int) -> str:
    """Trader of a row."""
    return chr(ord("A") + row - SYSTEM_ROWS)


def drawing(text: str) -> list[str]:
    """A drawing, free of indentation and padding, for comparison."""
    lines = []
    for line in text.strip("\n").splitlines():
        if line.strip():
            bids, price, asks = (" ".join(part.split()) for part in line.split("|"))
            lines.append(f"{bids} | {price} | {asks}")
    return lines


PLAIN_WORTH = LotValue(1)


def traders(lot_value: LotValue = PLAIN_WORTH, count: int = 8, deposit: int = 10**12) -> AccountTable:
    """A table of well-funded cross accounts A, B, C, ... and a funded insurance row."""
    table = AccountTable(SYSTEM_ROWS + count, lot_value)
    rows = table.claim(0, count)
    table.rows["collateral"][rows] = deposit
    return table


def command(kind: OrderKind, account: int, **fields: int) -> NDArray[Any]:
    """One command; fields not named are 0."""
    out = np.zeros(1, COMMAND)
    out["kind"], out["account"] = int(kind), account
    for name, value in fields.items():
        out[name] = int(value)
    return out


class Ladder:
    """One exchange (kernel or twin), its traders by letter, its book as text. Ids are handed out from 1."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange
        self.next_id = 1
        self.time_ns = 0

    # -- saying ----------------------------------------------------------------------------------------------------

    def send(self, kind: OrderKind, who: str, **fields: int) -> NDArray[Any]:
        """Send one command now; returns its events."""
        self.time_ns += 1
        return self.exchange.process(command(kind, row_of(who), arrival_ns=self.time_ns, **fields))

    def order(
        self,
        who: str,
        side: Side,
        lots: int,
        price: int = 0,
        *,
        kind: OrderKind = OrderKind.LIMIT,
        trigger: int = 0,
        flags: Flag = Flag.NONE,
        cause: Cause = Cause.VOLUNTARY,
    ) -> NDArray[Any]:
        """A new order under the next id."""
        order_id, self.next_id = self.next_id, self.next_id + 1
        return self.send(
            kind,
            who,
            order_id=order_id,
            side=side,
            quantity_lots=lots,
            price_ticks=price,
            trigger_ticks=trigger,
            flags=flags,
            cause=cause,
        )

    def buy(self, who: str, lots: int, price: int, **more: Any) -> NDArray[Any]:
        """A limit order (or `kind=`) to buy."""
        return self.order(who, Side.BUY, lots, price, **more)

    def sell(self, who: str, lots: int, price: int, **more: Any) -> NDArray[Any]:
        """A limit order (or `kind=`) to sell."""
        return self.order(who, Side.SELL, lots, price, **more)

    def market_buy(self, who: str, lots: int, bound: int = 0, **more: Any) -> NDArray[Any]:
        """A market order to buy, worst price `bound`."""
        return self.order(who, Side.BUY, lots, bound, kind=OrderKind.MARKET, **more)

    def market_sell(self, who: str, lots: int, bound: int = 0, **more: Any) -> NDArray[Any]:
        """A market order to sell, worst price `bound`."""
        return self.order(who, Side.SELL, lots, bound, kind=OrderKind.MARKET, **more)

    def cancel(self, who: str, order_id: int) -> NDArray[Any]:
        """Cancel one order."""
        return self.send(OrderKind.CANCEL, who, order_id=order_id)

    def cancel_all(self, who: str) -> NDArray[Any]:
        """Cancel everything of one trader."""
        return self.send(OrderKind.CANCEL_ALL, who)

    def modify(self, who: str, order_id: int, lots: int, price: int) -> NDArray[Any]:
        """New price and remaining lots."""
        return self.send(OrderKind.MODIFY, who, order_id=order_id, quantity_lots=lots, price_ticks=price)

    def mark(self, ticks: int) -> NDArray[Any]:
        """A new mark price."""
        self.time_ns += 1
        return self.exchange.set_mark(ticks, self.time_ns)

    def place(self, text: str) -> dict[str, list[int]]:
        """Put a drawn book, line by line and left to right; returns the ids by trader, in that order."""
        placed: dict[str, list[int]] = {}
        for line in drawing(text):
            bids, price, asks = line.split(" | ") if not line.endswith("| ") else [*line[:-3].split(" | "), ""]
            for side, orders in ((Side.BUY, bids), (Side.SELL, asks)):
                for who, lots in re.findall(r"([A-Z])(\d+)", orders):
                    placed.setdefault(who, []).append(self.next_id)
                    self.order(who, side, int(lots), int(price))
        return placed

    # -- seeing ----------------------------------------------------------------------------------------------------

    def drawn(self) -> list[str]:
        """The book as lines of a drawing."""
        bids, asks = (self.exchange.book_levels(side, 10**6) for side in SIDES)
        lines = [f" | {price} | {self._queue(Side.SELL, price)}" for price, _, _ in reversed(asks)]
        return lines + [f"{self._queue(Side.BUY, price)} | {price} | " for price, _, _ in bids]

    def _queue(self, side: Side, price: int) -> str:
        return " ".join(f"{letter_of(account)}{lots}" for _, account, lots in self.exchange.queue(side, price))

    def position(self, who: str) -> int:
        """Signed lots of one trader."""
        return account_fact(self.exchange, row_of(who), "position_lots")


def account_fact(exchange: Any, row: int, name: str) -> int:
    """One number of one account, of the kernel's table or the twin's objects."""
    return int(getattr(exchange.accounts[row], name)) if is_naive(exchange) else int(table_rows(exchange)[name][row])


def is_naive(exchange: Any) -> bool:
    """True for the twin (and its mutants)."""
    return isinstance(exchange.accounts, list)


def table_rows(exchange: Any) -> NDArray[Any]:
    """The structured account rows of a kernel exchange."""
    accounts = exchange.accounts
    return accounts.rows if isinstance(accounts, AccountTable) else accounts


def told(events: Iterable[Any]) -> list[str]:
    """Events as short sentences: `A buys 3@101 from B`, `B's 4 at 99 cancelled: NONE`."""
    return [_sentence(event) for event in events]


def _sentence(event: Any) -> str:
    kind = EventKind(int(event["kind"]))
    who, lots, price = letter_of(int(event["account"])), int(event["quantity_lots"]), int(event["price_ticks"])
    if kind == EventKind.FILL:
        maker = letter_of(int(event["maker_account"]))
        verb, word = ("buys", "from") if event["side"] == Side.BUY else ("sells", "to")
        return f"{who} {verb} {lots}@{price} {word} {maker}"
    if kind == EventKind.INSURANCE:
        return f"insurance pays {int(event['money'])} to {who}"
    reason = Reject(int(event["reason"]))
    text = f"{who} {kind.name.lower()} {lots}@{price}"
    return text if reason == Reject.NONE else f"{text}: {reason.name}"
