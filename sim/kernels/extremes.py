"""One pass over a ledger: the largest amounts in it, the open lots, and the exact sum of its money."""

import numpy as np

from marginquake.sim.kernels import helper, kernel

LEDGER = np.dtype(
    [
        ("collateral", "i8"),
        ("isolated_margin", "i8"),
        ("cost", "i8"),
        ("long_lots", "i8"),
        ("high", "i8"),
        ("low", "i8"),
    ]
)
"""Largest absolute values of three columns; lots held long; the sum of collateral less cost as high * 2^32 + low."""
_MOST = np.int64(2**63 - 1)
_LEAST = np.int64(-(2**63))
_LOW = np.int64(0xFFFFFFFF)
_BITS = np.int64(32)


@helper
def size(amount):
    """Absolute value; that of -2^63 is the largest number there is."""
    return _MOST if amount == _LEAST else abs(amount)


@kernel
def ledger_extremes(accounts, count, found):
    """What `LEDGER` says, of the first `count` accounts; returns their number."""
    out = found[0]
    for row in range(count):
        a = accounts[row]
        out["collateral"] = max(out["collateral"], size(a["collateral"]))
        out["isolated_margin"] = max(out["isolated_margin"], size(a["isolated_margin"]))
        out["cost"] = max(out["cost"], size(a["cost"]))
        if a["position_lots"] > 0:
            out["long_lots"] += a["position_lots"]
        out["high"] += (a["collateral"] >> _BITS) - (a["cost"] >> _BITS)
        out["low"] += (a["collateral"] & _LOW) - (a["cost"] & _LOW)
    return count
