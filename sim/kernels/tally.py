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


@kernel
def follow(accounts, seen, totals, first, events):  # type: ignore[no-untyped-def]
    """Look at the accounts that events name, from row `first` on; quotes change nobody's money."""
    for n in range(events.shape[0]):
        event = events[n]
        kind = event["kind"]
        if kind == _FILL or kind > _MARGIN_CALL:
            if event["account"] >= first:
                note(accounts, seen, totals, np.int64(event["account"]))
            if event["maker_account"] >= first:
                note(accounts, seen, totals, np.int64(event["maker_account"]))
    return 0
