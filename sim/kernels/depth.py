"""Questions about the book: depth, profile, average price of a notional.  They read and change nothing."""

import numpy as np

from marginquake.sim.kernels import bitmap, helper, kernel

_BUY = np.int64(1)


@helper
def _depth(x, side, low, high):
    """Resting lots of one side at prices in [low, high]."""
    total = np.int64(0)
    state = x.state[0]
    if side == _BUY:
        price = bitmap.below(x.bits, min(high, state["best_bid"]))
        while price >= low and price > 0:
            total += x.levels[np.uint64(price)]["lots"]
            price = bitmap.below(x.bits, price - 1)
    else:
        price = bitmap.above(x.bits, max(low, state["best_ask"]))
        while 0 <= price <= high:
            total += x.levels[np.uint64(price)]["lots"]
            price = bitmap.above(x.bits, price + 1)
    return total


@kernel
def depth(x, side, low, high):
    """Resting lots of one side at prices in [low, high]."""
    return _depth(x, side, np.int64(low), np.int64(high))


@kernel
def depths(x, lows, highs, bids, asks):
    """Resting lots of both sides within several ranges, each wider than the one before: bids at or above `lows[k]`,
    asks at or below `highs[k]`.  Returns how many ranges."""
    bid = x.state[0]["best_bid"]
    ask = x.state[0]["best_ask"]
    for k in range(lows.shape[0]):
        bids[k] = _depth(x, _BUY, lows[k], bid)
        asks[k] = _depth(x, -_BUY, ask, highs[k])
        if k > 0:
            bids[k] += bids[k - 1]
            asks[k] += asks[k - 1]
        bid = min(bid, lows[k] - 1)
        ask = max(ask, highs[k] + 1)
    return lows.shape[0]


@kernel
def profile(x, edges, bids, asks, longs, shorts):
    """Histograms over price bins: resting lots of both sides, and lots waiting to be liquidated."""
    size = x.rules[0]["size"]
    bins = edges.shape[0] - 1
    for k in range(bins):
        low = max(np.int64(1), np.int64(edges[k]))
        high = min(size, np.int64(edges[k + 1]))
        price = bitmap.above(x.bits, low)
        while 0 <= price < high:
            if price <= x.state[0]["best_bid"]:
                bids[k] += x.levels[np.uint64(price)]["lots"]
            else:
                asks[k] += x.levels[np.uint64(price)]["lots"]
            price = bitmap.above(x.bits, price + 1)
        for side in range(2):
            bucket = bitmap.above(x.call_bits, side * size + low)
            while 0 <= bucket < side * size + high:
                row = np.int64(x.calls[bucket])
                while row != 0:
                    lots = abs(x.accounts[row]["position_lots"])
                    if side == 0:
                        longs[k] += lots
                    else:
                        shorts[k] += lots
                    row = np.int64(x.accounts[row]["index_next"])
                bucket = bitmap.above(x.call_bits, bucket + 1)
    return bins


@kernel
def impact_ticks(x, side, notional):
    """Average price at which an aggressor on `side` trades this notional over `value` (ticks x lots; of an inverse
    contract lots / ticks); 0 if the book is too thin."""
    state = x.state[0]
    inverse = x.rules[0]["inverse"] != 0
    left = float(notional)
    lots = 0.0
    price = state["best_ask"] if side == _BUY else state["best_bid"]
    while 0 < price < x.rules[0]["size"]:
        here = float(x.levels[np.uint64(price)]["lots"])
        held = here / price if inverse else here * price
        if held >= left:
            lots += left * price if inverse else left / price
            return lots / float(notional) if inverse else float(notional) / lots
        lots += here
        left -= held
        price = bitmap.above(x.bits, price + 1) if side == _BUY else bitmap.below(x.bits, price - 1)
    return 0.0
