"""The market of PAMS (plain Python) alone, matched after every order as its runner does."""

import random
import warnings

from pams.market import Market
from pams.order import LIMIT_ORDER, MARKET_ORDER, Cancel, Order
from pams.simulator import Simulator
from stream import CANCEL, MARKET, Row, drive

simulator = Simulator(prng=random.Random(1))
market = Market(market_id=0, prng=random.Random(2), simulator=simulator, name="A")
market.setup({"tickSize": 1.0, "marketPrice": 8192.0})
simulator._add_market(market)
market._update_time(next_fundamental_price=8192.0)
market._is_running = True
orders: dict[int, Order] = {}
fills = 0
warnings.simplefilter("ignore")


def replay(rows: list[Row]) -> None:
    """One order added and the market matched, or one order cancelled."""
    global fills
    for kind, side, order_id, account, price, lots in rows:
        if kind == CANCEL:
            gone = orders.pop(order_id)
            if gone.volume:
                market._cancel_order(Cancel(order=gone))
            continue
        is_market = kind == MARKET
        order = Order(
            agent_id=account,
            market_id=0,
            is_buy=side > 0,
            kind=MARKET_ORDER if is_market else LIMIT_ORDER,
            volume=lots,
            price=None if is_market else float(price),
        )
        market._add_order(order)
        fills += len(market._execution())
        if not is_market:
            orders[order_id] = order


def left() -> dict[str, object]:
    """Touch at the end and the number of fills."""
    return {"best_bid": market.get_best_buy_price(), "best_ask": market.get_best_sell_price(), "fills": fills}


drive("pams", replay, left)
