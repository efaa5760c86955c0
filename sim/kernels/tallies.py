"""Counts and sums kept up to date from events: fills by cause, what each population holds."""

import numpy as np

from marginquake.sim.core.accounts import INSURANCE_ROW
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.kernels import helper, kernel

OUTCOME = np.dtype(
    [("forced", "f8"), ("adl", "f8"), ("fees", "f8"), ("deposits", "f8"), ("called", "?"), ("liquidated", "?")],
    align=True,
)
"""What became of one account: notional and amounts in quote units."""
COUNT = np.dtype(
    [
        ("volume", "f8"),
        ("forced_volume", "f8"),
        ("stop_volume", "f8"),
        ("margin_calls", "f8"),
        ("liquidations", "f8"),
        ("adl_notional", "f8"),
        ("takeover_notional", "f8"),
        ("fills", "i8"),
        ("insurance_paid", "i8"),
    ]
)
"""Totals: notional in quote units, numbers of events, `insurance_paid` in money."""
_FILL, _MARGIN_CALL = np.int64(EventKind.FILL), np.int64(EventKind.MARGIN_CALL)
_STARTED, _DEPOSIT = np.int64(EventKind.LIQUIDATION_STARTED), np.int64(EventKind.DEPOSIT)
_INSURANCE, _ADL, _TAKEOVER = np.int64(EventKind.INSURANCE), np.int64(EventKind.ADL), np.int64(EventKind.TAKEOVER)
_BY_STOP, _BY_LIQUIDATION = np.int64(Cause.STOP), np.int64(Cause.LIQUIDATION)
_BY_TAKEOVER = np.int64(Cause.TAKEOVER)
_FUNDING = np.int64(EventKind.FUNDING)


@helper
def lot_notional(per_lot_tick, inverse, ticks):
    """Quote notional of one lot at a price."""
    return per_lot_tick / ticks if inverse else ticks * per_lot_tick


@kernel
def count(events, live, per_lot_tick, inverse, unit, maker_fee, outcomes, counts, accounts, seen, totals, first):
    """Add these events to `counts` and `outcomes`, and follow what they did to the owners' `totals`
    (`sim.kernels.tallies`, accounts from row `first` on).  Returns 1 if funding was paid, which touches everybody: the
    totals have to be calculated again then.

    `live`: the clock is past 0; before, only volumes and forced notional are counted.  `per_lot_tick`: quote units of
    a lot at one tick, `inverse`: whether they fall with the price; `unit`: of one money.
    """
    total = counts[0]
    everybody = 0
    for n in range(events.shape[0]):
        event = events[n]
        kind = event["kind"]
        follow(accounts, seen, totals, first, event)
        if kind == _FUNDING:
            everybody = 1
        account = event["account"]
        if kind == _FILL:
            notional = event["quantity_lots"] * lot_notional(per_lot_tick, inverse, event["price_ticks"])
            cause = event["cause"]
            total["volume"] += notional
            if cause == _BY_STOP:
                total["stop_volume"] += notional
            elif cause == _BY_LIQUIDATION or cause == _BY_TAKEOVER:
                total["forced_volume"] += notional
                outcomes[account]["forced"] += notional
            if live:
                total["fills"] += 1
                outcomes[account]["fees"] += event["money"] * unit
                if event["maker_account"] != INSURANCE_ROW:
                    outcomes[event["maker_account"]]["fees"] += notional * maker_fee
        elif kind < _MARGIN_CALL or not live:
            continue
        elif kind == _MARGIN_CALL:
            total["margin_calls"] += 1
            outcomes[account]["called"] = True
        elif kind == _STARTED:
            total["liquidations"] += 1
            outcomes[account]["liquidated"] = True
        elif kind == _DEPOSIT:
            outcomes[account]["deposits"] += event["money"] * unit
        elif kind == _INSURANCE:
            total["insurance_paid"] += event["money"]
        elif kind == _ADL or kind == _TAKEOVER:
            notional = event["quantity_lots"] * lot_notional(per_lot_tick, inverse, event["mark_ticks"])
            if kind == _ADL:
                total["adl_notional"] += notional
                outcomes[account]["adl"] += notional
            else:
                total["takeover_notional"] += notional
    return everybody


SEEN = np.dtype([("position_lots", "i8"), ("paid", "i8")])
"""What an account had when it was last looked at.  `paid`: collateral less cost, money."""
TOTAL = np.dtype(
    [("net_lots", "i8"), ("long_lots", "i8"), ("accounts_open", "i8"), ("paid_high", "i8"), ("paid", "i8")]
)
"""Sums over one owner's accounts; money is `paid_high * PAID_UNIT + paid`, for a crowd's may exceed 64 bits."""
PAID_UNIT = 1 << 40
_UNIT = np.int64(PAID_UNIT)


@helper
def note(accounts, seen, totals, row):
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
def recount(accounts, seen, totals, first):
    """Look at every account from row `first` on."""
    for row in range(first, accounts.shape[0]):
        note(accounts, seen, totals, row)
    return 0


@helper
def follow(accounts, seen, totals, first, event):
    """Look at the accounts that an event names, from row `first` on; quotes change nobody's money."""
    kind = event["kind"]
    if kind == _FILL or kind > _MARGIN_CALL:
        if event["account"] >= first:
            note(accounts, seen, totals, np.int64(event["account"]))
        if event["maker_account"] >= first:
            note(accounts, seen, totals, np.int64(event["maker_account"]))


@kernel
def snapshot(totals, owners, spot_lots, cash, per_lot, spot_value, unit, lots, amounts):
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
