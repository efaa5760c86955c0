"""Facts of auto-deleveraging: on how few it falls, how much there is, how much profit it closes."""

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis.facts.fact import Fact
from marginquake.analysis.facts.observed import Observed
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import EventKind
from marginquake.sim.core.typing import Floats

TOP = 0.01
LEAST_ACCOUNTS = 100


def _closed(observed: Observed) -> dict[str, NDArray[np.int64]]:
    """ADL events after the warm-up; refuses where there were none."""
    if missing := observed.market.not_recorded("liquidations"):
        raise Unmeasurable(f"ADL: {missing}")
    events = observed.market.events
    chosen = (events["kind"] == EventKind.ADL) & (events["time_s"] >= 0)
    if not chosen.any():
        raise Unmeasurable("nobody was deleveraged")
    return {name: column[chosen] for name, column in events.items()}


def _notional(observed: Observed, closed: dict[str, NDArray[np.int64]]) -> Floats:
    return np.asarray(observed.market.contract.notional(closed["quantity_lots"], closed["mark_ticks"]), np.float64)


def concentration(observed: Observed) -> float:
    """Share of deleveraged notional that falls on the hundredth of the accounts with most of it (eq. 134)."""
    closed = _closed(observed)
    accounts, place = np.unique(closed["account"], return_inverse=True)
    if len(accounts) < LEAST_ACCOUNTS:
        raise Unmeasurable(f"only {len(accounts)} accounts were deleveraged, {LEAST_ACCOUNTS} needed")
    each = np.sort(np.bincount(place, _notional(observed, closed)))[::-1]
    return float(each[: round(TOP * len(each))].sum() / each.sum())


def share(observed: Observed) -> float:
    """Deleveraged notional over liquidated notional, orders and takeovers, where there was ADL."""
    closed = float(_notional(observed, _closed(observed)).sum())
    liquidated = float(np.abs(observed.liquidated[1]).sum())
    if liquidated <= 0.0:
        raise Unmeasurable("nothing was liquidated")
    return closed / liquidated


def overshoot(observed: Observed) -> float:
    """Profit realised by accounts that ADL closed, over the deficit it makes good at the mark (eq. 134)."""
    closed = _closed(observed)
    lot_value = observed.market.contract.lot_value
    # `side` is that of the winner's closing order: BUY where the bankrupt account was long.
    lots = closed["side"] * closed["quantity_lots"]
    missing = lot_value.value_real(lots, closed["price_ticks"]) - lot_value.value_real(lots, closed["mark_ticks"])
    deficit = float(missing[missing > 0].sum())
    if deficit <= 0.0:
        raise Unmeasurable("no deficit was made good")
    return float(closed["money"].sum()) / deficit


FACTS = (
    Fact("CA3", "ADL on the top 1 % of its accounts", concentration, target="CA3"),
    Fact("CA16", "ADL / liquidated notional", share, target="CA16"),
    Fact("ADL_OVER", "profit closed by ADL / deficit", overshoot),
)
