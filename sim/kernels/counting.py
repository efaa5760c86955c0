"""Totals of a stretch of events, and what they did to each account."""

import numpy as np

from sim.accounts import INSURANCE_ROW
from sim.kernels import helper, kernel
from sim.kernels.tally import follow
from sim.records import Cause, EventKind

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
def lot_notional(per_lot_tick, inverse, ticks):  # type: ignore[no-untyped-def]
    """Quote notional of one lot at a price."""
    return per_lot_tick / ticks if inverse else ticks * per_lot_tick


@kernel
def count(events, live, per_lot_tick, inverse, unit, maker_fee, outcomes, counts, accounts, seen, totals, first):  # type: ignore[no-untyped-def]
    """Add these events to `counts` and `outcomes`, and follow what they did to the owners' `totals`
    (`sim.kernels.tally`, accounts from row `first` on).  Returns 1 if funding was paid, which touches everybody: the
    totals have to be reckoned anew then.

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
