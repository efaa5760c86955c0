"""limit-order-book (C++ behind ctypes); asked whether an order is there: cancelling one that is gone aborts."""

from limit_order_book import LimitOrderBook
from stream import CANCEL, MARKET, Row, drive

book = LimitOrderBook()


def replay(rows: list[Row]) -> None:
    """One call an operation, two a cancellation."""
    has, cancel = book.has, book.cancel
    market_buy, market_sell, limit_buy, limit_sell = book.market_buy, book.market_sell, book.limit_buy, book.limit_sell
    for kind, side, order_id, _, price, lots in rows:
        if kind == CANCEL:
            if has(order_id):
                cancel(order_id)
        elif kind == MARKET:
            if side > 0:
                market_buy(order_id, lots)
            else:
                market_sell(order_id, lots)
        elif side > 0:
            limit_buy(order_id, lots, price)
        else:
            limit_sell(order_id, lots, price)


def left() -> dict[str, object]:
    """Touch at the end; it reports no trades."""
    return {"best_bid": book.best_buy(), "best_ask": book.best_sell(), "fills": None}


drive("limit-order-book", replay, left)
