"""Who paid."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.explanation.cascade_view import CascadeView, Section
from marginquake.analysis.formats import short_number as short
from marginquake.analysis.measures.cases import Cases
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Bools

COLUMNS = ("margin_paid", "fee", "winners_paid", "unpaid")


@final
@dataclass(frozen=True)
class FundFlows:
    """What the insurance fund gained between two samples of the series, and of what; quote units.

    `fees` of liquidation orders; `covered`: deficits paid, and negative equity taken over; `received`: positive equity
    taken over; `traded`: the rest, what it gained on positions that it had taken over.
    """

    gained: float
    fees: float
    covered: float
    received: float

    @property
    def traded(self) -> float:
        """Gained but for fees, deficits and equity taken over."""
        return self.gained - self.fees + self.covered - self.received


def payers(view: CascadeView) -> Section:
    """Payments of all liquidations that began in the cascade's time, until they were over, and those of the fund.

    One clock: from the last sample of the series before the first call to the first one after the last of them ended.
    """
    title = "Who paid"
    try:
        cases, chosen = view.begun
    except Unmeasurable as reason:
        return Section(title, (f"Not known: {reason}.",))
    amount = view.market.contract.to_amount(1)
    paid = {column: float(cases.at_end(column)[chosen].sum()) * amount for column in COLUMNS}
    accounts = len(np.unique(cases.at_start("account")[chosen]))
    count = int(chosen.sum())
    sales = f", in {formats.plural(count, 'forced sale')} that {'has' if count == 1 else 'have'} ended"
    first, last = view.row_at(view.cascade.start_s), view.row_after(view.settled_s)
    flows = fund_flows(view, first, last)
    taken, deleveraged = view.notional_of(EventKind.TAKEOVER), view.notional_of(EventKind.ADL)
    margin, debt, winners = paid["margin_paid"], paid["unpaid"], paid["winners_paid"]
    socialised = view.money_of(EventKind.SOCIALISED)
    sentences = [
        f"{formats.plural(accounts, 'account').capitalize()} came under forced sale from the {view.begins_with} to the "
        f"end of the cascade{sales}. Until the last of them was let go, at {formats.clock(view.settled_s)}, they "
        f"{_lost(margin, paid['fee'], left_at_takeover(view, cases, chosen))}.",
        _fund(flows, taken),
        f"Auto-deleveraging closed {short(deleveraged)}; winners were closed {short(winners)} worse than at the mark."
        if deleveraged
        else "Nobody was deleveraged.",
        *(
            [f"Winners gave up {short(socialised)} of unrealised profit for the fund (socialised loss)."]
            * (socialised > 0)
        ),
        f"{short(debt)} of debt is left that nobody has paid." if debt > 0 else "No debt is left unpaid.",
    ]
    rows = (
        ("margin of the liquidated", short(margin)),
        ("insurance fund, net", short(-flows.gained)),
        ("deleveraged winners", short(winners)),
        *([("winners (socialised loss)", short(socialised))] if socialised > 0 else []),
        ("nobody (unpaid debt)", short(debt)),
    )
    return Section(title, tuple(sentences), ("payer", "paid"), rows)


def fund_flows(view: CascadeView, first: int, last: int) -> FundFlows:
    """Of the fund between two rows of the series."""
    events, time_s, fund = view.market.events, view.series["time_s"], view.series["insurance_fund"]
    inside = (events["time_s"] > time_s[first]) & (events["time_s"] <= time_s[last])
    kind, money = events["kind"], events["money"] * view.market.contract.to_amount(1)
    fees = inside & (kind == EventKind.FILL) & (events["cause"] == Cause.LIQUIDATION)
    equity = money[inside & (kind == EventKind.TAKEOVER)]
    return FundFlows(
        gained=float(fund[last] - fund[first]),
        fees=float(money[fees].sum()),
        covered=float(money[inside & (kind == EventKind.INSURANCE)].sum() - np.minimum(equity, 0.0).sum()),
        received=float(np.maximum(equity, 0.0).sum()),
    )


def left_at_takeover(view: CascadeView, cases: Cases, chosen: Bools) -> float:
    """Positive equity that the fund took over with positions in these forced sales; part of the margin they lost."""
    spans: dict[int, list[tuple[float, float]]] = {}
    starts, ends = cases.at_start("time_s")[chosen].tolist(), cases.at_end("time_s")[chosen].tolist()
    for account, start_s, end_s in zip(cases.at_start("account")[chosen].tolist(), starts, ends, strict=True):
        spans.setdefault(account, []).append((start_s, end_s))
    events = view.market.events
    taken = (events["kind"] == EventKind.TAKEOVER) & (events["money"] > 0)
    columns = (events[name][taken].tolist() for name in ("account", "time_s", "money"))
    money = sum(
        amount
        for account, time_s, amount in zip(*columns, strict=True)
        if any(start_s <= time_s <= end_s for start_s, end_s in spans.get(account, ()))
    )
    return float(money) * view.market.contract.to_amount(1)


def _lost(margin: float, fees: float, left: float) -> str:
    """What they lost, in parts that sum to it."""
    with_fund = f"{short(left)} left with the insurance fund at takeover" if left else ""
    if margin < 0:
        after = f"{short(fees)} of liquidation fees" + (f" and {with_fund}" if left else "")
        return f"were relieved of {short(-margin)} of debt, after {after}"
    price = margin - fees - left
    rest = f"and {short(price)} to the price" if price >= 0 else f"less {short(-price)} that the price gave back"
    parts = [f"{short(fees)} in liquidation fees", *([with_fund] if left else []), rest]
    return f"lost {short(margin)} of margin: {', '.join(parts)}"


def _fund(flows: FundFlows, taken: float) -> str:
    parts = [
        f"{short(flows.fees)} of fees received",
        f"{short(flows.covered)} of deficits covered" if flows.covered else "no deficit to cover",
    ]
    if taken:
        parts.append(
            f"{short(flows.received)} of margin left with the {short(taken)} that it took over, and "
            f"{short(abs(flows.traded))} {'gained' if flows.traded >= 0 else 'lost'} on that"
        )
    gained = f"{'gained' if flows.gained >= 0 else 'lost'} {short(abs(flows.gained))}"
    return f"The insurance fund {gained} in this time: {', '.join(parts)}."
