"""Who paid."""

import numpy as np

from analysis import style
from analysis.explain.scene import Scene
from analysis.explain.section import Section
from analysis.facts.fact import Unmeasurable
from analysis.liquidation_cases import Liquidations
from analysis.style import short_number as short

COLUMNS = ("margin_paid", "fee", "fund_paid", "winners_paid", "unpaid")


def payers(scene: Scene) -> Section:
    """Payments of the liquidations of this cascade that are over, and what became of the insurance fund meanwhile."""
    title = "Who paid"
    seen = Liquidations(scene.market)
    try:
        cases = seen.ended
    except Unmeasurable as reason:
        return Section(title, (f"Not known: {reason}.",))
    begun_s = cases.at_start("time_s")
    members = np.isin(cases.at_start("account"), scene.calls.account)
    chosen = members & (begun_s >= scene.cascade.start_s) & (begun_s <= scene.cascade.end_s)
    paid = {column: float(seen.money(cases.at_end(column)[chosen]).sum()) for column in COLUMNS}
    accounts = len(np.unique(cases.at_start("account")[chosen]))
    fund = scene.series["insurance_fund"]
    start, end = scene.row_at(scene.cascade.start_s), scene.row_at(scene.cascade.end_s)
    gained = float(fund[end] - fund[start])
    inside = scene.between(scene.cascade.start_s, scene.cascade.end_s)
    taken, deleveraged = (float(scene.series[name][inside].sum()) for name in ("takeover_notional", "adl_notional"))
    debt = paid["unpaid"]
    unwound = gained + paid["fund_paid"] - paid["fee"]
    sentences = [
        f"{style.plural(accounts, 'account').capitalize()} lost {short(paid['margin_paid'])} of margin from the "
        f"beginning of their forced sales on, {short(paid['fee'])} of it liquidation fees.",
        f"The insurance fund {'gained' if gained >= 0 else 'lost'} {short(abs(gained))} from the first call to "
        f"the end: it received the fees, covered {short(paid['fund_paid'])} of deficits, and "
        + (
            f"{'gained' if unwound >= 0 else 'lost'} {short(abs(unwound))} on the {short(taken)} of positions that it "
            "took over and unwound, with the margin that was left behind them."
            if taken
            else "took nothing over."
        ),
        f"Auto-deleveraging closed {short(deleveraged)}; winners were closed "
        f"{short(paid['winners_paid'])} worse than at the mark."
        if deleveraged
        else "Nobody was deleveraged.",
        f"{short(debt)} of debt is left that nobody has paid." if debt > 0 else "No debt is left unpaid.",
    ]
    rows = (
        ("margin of the liquidated", short(paid["margin_paid"])),
        ("insurance fund: deficits", short(paid["fund_paid"])),
        ("insurance fund: unwinding", short(max(-unwound, 0.0) if taken else 0.0)),
        ("deleveraged winners", short(paid["winners_paid"])),
        ("nobody (unpaid debt)", short(paid["unpaid"])),
    )
    return Section(title, tuple(sentences), ("payer", "paid"), rows)
