"""lightmatchingengine (plain Python); cancelling an order that is gone raises an AssertionError of its own."""

from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side
from stream import CANCEL, Row, drive

engine = LightMatchingEngine()
ids: dict[int, int] = {}
fills = 0


def replay(rows: list[Row]) -> None:
    """One call an operation; a price of zero is a market order."""
    global fills
    add, cancel, buy, sell = engine.add_order, engine.cancel_order, Side.BUY, Side.SELL
    for kind, side, order_id, _, price, lots in rows:
        if kind == CANCEL:
            try:
                cancel(ids[order_id], "A")
            except AssertionError:
                continue
        else:
            order, trades = add("A", price, lots, buy if side > 0 else sell)
            ids[order_id] = order.order_id
            for trade in trades:
                fills += trade.order_id != order.order_id


def left() -> dict[str, object]:
    """Touch at the end and the number of fills (its list also names the taker's side of each)."""
    book = engine.order_books["A"]
    return {"best_bid": max(book.bids, default=0), "best_ask": min(book.asks, default=0), "fills": fills}


drive("lightmatchingengine", replay, left)
