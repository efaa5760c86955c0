"""Who paid."""

import numpy as np

from analysis import style
from analysis.explain.scene import Scene
from analysis.explain.section import Section
from analysis.facts.fact import Unmeasurable
from analysis.liquidation_cases import Liquidations
from analysis.style import short_number as short
from sim.records import EventKind

COLUMNS = ("margin_paid", "fee", "fund_paid", "winners_paid", "unpaid")


def payers(scene: Scene) -> Section:
    """Payments of all liquidations that began in the cascade's time and are over, and what the fund gained or lost."""
    title = "Who paid"
    seen = Liquidations(scene.market)
    try:
        cases = seen.ended
    except Unmeasurable as reason:
        return Section(title, (f"Not known: {reason}.",))
    begun_s = cases.at_start("time_s")
    chosen = (begun_s >= scene.cascade.start_s) & (begun_s <= scene.cascade.end_s)
    paid = {column: float(seen.money(cases.at_end(column)[chosen]).sum()) for column in COLUMNS}
    accounts = len(np.unique(cases.at_start("account")[chosen]))
    fund = scene.series["insurance_fund"]
    start, end = scene.row_at(scene.cascade.start_s), scene.row_after(scene.cascade.end_s)
    gained = float(fund[end] - fund[start])
    taken, deleveraged = scene.notional_of(EventKind.TAKEOVER), scene.notional_of(EventKind.ADL)
    rest = gained + paid["fund_paid"] - paid["fee"]
    margin = paid["margin_paid"]
    lost = f"lost {short(margin)} of margin" if margin >= 0 else f"were relieved of {short(-margin)} of debt"
    debt = paid["unpaid"]
    sentences = [
        f"{style.plural(accounts, 'account').capitalize()} came under forced sale from the first call to the last "
        f"forced fill. From then on they {lost}, after {short(paid['fee'])} of liquidation fees.",
        f"The insurance fund {'gained' if gained >= 0 else 'lost'} {short(abs(gained))} in this time: "
        f"{short(paid['fee'])} of fees received, {short(paid['fund_paid'])} of deficits covered, and "
        f"{'+' if rest >= 0 else '-'}{short(abs(rest))} from the rest: trading what it took over ({short(taken)}), "
        "with the margin left behind it, and liquidations that began before.",
        f"Auto-deleveraging closed {short(deleveraged)}; winners were closed {short(paid['winners_paid'])} worse than "
        "at the mark."
        if deleveraged
        else "Nobody was deleveraged.",
        f"{short(debt)} of debt is left that nobody has paid." if debt > 0 else "No debt is left unpaid.",
    ]
    rows = (
        ("margin of the liquidated", short(margin)),
        ("insurance fund, net", short(-gained)),
        ("deleveraged winners", short(paid["winners_paid"])),
        ("nobody (unpaid debt)", short(paid["unpaid"])),
    )
    return Section(title, tuple(sentences), ("payer", "paid"), rows)
