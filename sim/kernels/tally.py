"""What each population holds, kept up to date from events: a sample costs what has happened, not how many there are."""

import numpy as np

from sim.kernels import helper, kernel
from sim.records import EventKind

SEEN = np.dtype([("position_lots", "i8"), ("paid", "i8")])
"""What an account had when it was last looked at.  `paid`: collateral less cost, money."""

TOTAL = np.dtype(
    [("net_lots", "i8"), ("long_lots", "i8"), ("accounts_open", "i8"), ("paid_high", "i8"), ("paid", "i8")]
)
"""Sums over one owner's accounts; money is `paid_high * PAID_UNIT + paid`, for a crowd's may exceed 64 bits."""

PAID_UNIT = 1 << 40
_UNIT = np.int64(PAID_UNIT)

_FILL = np.int64(EventKind.FILL)
_MARGIN_CALL = np.int64(EventKind.MARGIN_CALL)


@helper
def note(accounts, seen, totals, row):  # type: ignore[no-untyped-def]
    """Add what has changed at one account since it was last looked at."""
    a = accounts[row]
    total = totals[a["owner"]]
    before = seen[row]["position_lots"]
    now = a["position_lots"]
    if now != before:
        total["net_lots"] += now - before
        total["long_lots"] += max(now, np.int64(0)) - max(before, np.int64(0))
        total["accounts_open"] += np.int64(now != 0) - np.int64(before != 0)
        seen[row]["position_lots"] = now
    paid = a["collateral"] - a["cost"]
    total["paid"] += paid - seen[row]["paid"]
    seen[row]["paid"] = paid
    high = total["paid"] // _UNIT
    total["paid_high"] += high
    total["paid"] -= high * _UNIT


@kernel
def recount(accounts, seen, totals, first):  # type: ignore[no-untyped-def]
    """Look at every account from row `first` on."""
    for row in range(first, accounts.shape[0]):
        note(accounts, seen, totals, row)
    return 0


@helper
def follow(accounts, seen, totals, first, event):  # type: ignore[no-untyped-def]
    """Look at the accounts that an event names, from row `first` on; quotes change nobody's money."""
    kind = event["kind"]
    if kind == _FILL or kind > _MARGIN_CALL:
        if event["account"] >= first:
            note(accounts, seen, totals, np.int64(event["account"]))
        if event["maker_account"] >= first:
            note(accounts, seen, totals, np.int64(event["maker_account"]))


@kernel
def snapshot(totals, owners, spot_lots, cash, per_lot, spot_value, unit, lots, amounts):  # type: ignore[no-untyped-def]
    """What each owner holds: `lots` gets rows of net, long, short lots and open accounts; `amounts` of equity, long and
    short notional, spot lots.  `per_lot`, `spot_value`: what a lot held long is worth at the mark and on spot at the
    index, quote units, below 0 if inverse; `unit`: of one money; `spot_lots`, `cash`: what each has on spot."""
    for k in range(owners.shape[0]):
        total = totals[owners[k]]
        net = total["net_lots"]
        long = total["long_lots"]
        short = long - net
        paid = total["paid_high"] * float(PAID_UNIT) + total["paid"]
        lots[0, k] = net
        lots[1, k] = long
        lots[2, k] = short
        lots[3, k] = total["accounts_open"]
        amounts[0, k] = paid * unit + net * per_lot + cash[k] + spot_lots[k] * spot_value
        amounts[1, k] = long * abs(per_lot)
        amounts[2, k] = short * abs(per_lot)
        amounts[3, k] = spot_lots[k]
    return owners.shape[0]
