"""bourse (Rust) through its Python class; its clock must move with every order or it loses fills."""

from bourse import core
from stream import CANCEL, MARKET, Row, drive

book = core.OrderBook(0, 1)
ids: dict[int, int] = {}
clock = 0


def replay(rows: list[Row]) -> None:
    """One call an operation, and one to its clock."""
    global clock
    now = clock
    set_time, cancel, place = book.set_time, book.cancel_order, book.place_order
    for kind, side, order_id, account, price, lots in rows:
        now += 1
        set_time(now)
        if kind == CANCEL:
            cancel(ids[order_id])
        elif kind == MARKET:
            place(side > 0, lots, account)
        else:
            ids[order_id] = place(side > 0, lots, account, price=price)
    clock = now


def left() -> dict[str, object]:
    """Touch at the end and the number of fills."""
    bid, ask = book.bid_ask()
    return {"best_bid": bid, "best_ask": ask, "fills": len(book.get_trades())}


drive("bourse", replay, left)
