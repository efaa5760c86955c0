"""Who paid: the losses of forced sales by who bore them, and the fund over time."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames, market_summary
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.cases import Liquidations
from marginquake.analysis.measures.costs import total
from marginquake.analysis.measures.scorecard import number
from marginquake.analysis.presentation.page import finite
from marginquake.analysis.report.section import Chart, Content, Table
from marginquake.analysis.report.time_chart import Flow, Line, Panel, busy_windows, column, flows, lines, time_chart
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.typing import Floats

PAYERS = (
    ("margin", "margin of those liquidated", "margin",
     "what their accounts lost from the beginning of the forced sale on, fees included (minus: relieved of debts)"),
    ("fund", "insurance fund, net", "insurance", "how much less it is worth than at the start (minus: it gained)"),
    ("winners", "winners closed by ADL", "adl", "how much worse than the mark they were closed"),
    ("socialised", "winners (socialised loss)", "socialised", "unrealised profit given up for the fund"),
    ("unpaid", "nobody (bad debt left)", "unpaid", "debt that nobody has paid"),
)  # fmt: skip
"""Who, in words, colour, and what is meant."""


def content(run: RunFrames, market: MarketFrames) -> Content:
    """A waterfall of losses, a table of the same, and what the insurance fund went through."""
    fund = Chart("panels", "The insurance fund over time", time_chart(market, _fund(market)))
    try:
        seen = Liquidations(market)
        sales, begun = len(seen.ended.start), len(seen.cases.start)
    except Unmeasurable as error:
        if market.audit:
            return Content(lead=f"{str(error).capitalize()}.", charts=[fund])
        return Content(charts=[fund], missing=f"Who paid: {error}.")
    paid = _paid(run, market, seen)
    bars = [
        {"label": label, "amount": finite(paid[key]), "colour": colour, "note": note}
        for key, label, colour, note in PAYERS
        if paid[key] or key in ("margin", "fund")
    ]
    waterfall = Chart(
        "waterfall",
        "Losses of forced sales by who bore them",
        {"bars": bars, "total": "lost to other traders", "unit": "quote"},
        "Each bar begins where the one before ends: what accounts lost after their forced sale began, less what the "
        "fund gained from it (fees, margin left at takeovers) or plus what it lost (deficits, positions it took over), "
        "and so on. What an account had lost before is not in it.",
    )
    return Content(lead=_lead(sales, begun, paid), charts=[waterfall, fund], tables=[_table(seen, paid)])


def _paid(run: RunFrames, market: MarketFrames, seen: Liquidations) -> dict[str, float]:
    """Losses from the beginning of forced sales on, quote units; what the fund got from others is a loss of theirs."""
    summary = market_summary(run.summary, market.name)
    start, end = number(summary, "insurance_fund_start"), number(summary, "insurance_fund_end")
    return {
        "margin": total(seen, "margin_paid"),
        "fund": start - end if start is not None and end is not None else 0.0,
        "winners": total(seen, "winners_paid"),
        "socialised": number(summary, "socialised_loss") or 0.0,
        "unpaid": total(seen, "unpaid"),
    }


def _lead(sales: int, begun: int, paid: dict[str, float]) -> str:
    borne = sorted(((paid[key], label) for key, label, _, _ in PAYERS if paid[key] > 0), reverse=True)
    words = ", ".join(f"{label} {formats.short_number(amount)}" for amount, label in borne)
    gained = ""
    if paid["margin"] < 0:
        relieved = formats.short_number(-paid["margin"])
        gained = f" Those liquidated owed more than they had when it began, and were relieved of {relieved}."
    if paid["fund"] < 0:
        gained += f" The insurance fund gained {formats.short_number(-paid['fund'])} over the run."
    which = (
        f"{sales:,} forced sales that ended (of {begun:,} that began)" if sales < begun else f"{sales:,} forced sales"
    )
    return f"Losses of {which}, from the beginning of each: {words or 'none'}.{gained}"


def _table(seen: Liquidations, paid: dict[str, float]) -> Table:
    rows = []
    for key, label, _, note in PAYERS:
        rows.append((label, _amount(paid[key]), note))
        if key == "fund":
            rows += [
                ("of which fees received", _amount(-total(seen, "fee")), "liquidation fees, a gain of the fund"),
                ("of which deficits covered", _amount(total(seen, "fund_paid")),
                 "deficits, and negative equity taken over; the rest of the fund's change is margin left at takeovers, "
                 "socialised losses and the trading of what it took over"),
            ]  # fmt: skip
    rows.append(("lost to other traders", _amount(sum(paid.values())), "the sum of the bars"))
    return Table(("who", "lost", "meaning"), rows)


def _amount(value: float) -> str:
    return ("\u2212" if value < 0 else "") + formats.short_number(abs(value))


def _fund(market: MarketFrames) -> list[Panel]:
    run = market.run
    time_s = run["time_s"]
    panels = [
        lines("Insurance fund", "equity, quote", "money", time_s,
              [Line("insurance fund", "fund", run["insurance_fund"], 1.8)], busy_windows(market), height=150)
    ]  # fmt: skip
    held = column(run, "fund_position", time_s)
    if np.nan_to_num(held).any():
        panels.append(
            lines("Positions the fund holds", "quote notional, longs up", "money", time_s,
                  [Line("held by the fund", "insurance", held, 1.4, style="area")], busy_windows(market), height=110,
                  scale="zero")
        )  # fmt: skip
    taken = [
        Flow("taken over by the fund", "insurance", time_s, _amounts(market, "takeover_notional")),
        Flow("closed by ADL", "adl", time_s, _amounts(market, "adl_notional"), -1),
    ]
    if any(flow.amount.any() for flow in taken):
        panels.append(flows("Taken over and deleveraged", "quote", "money", taken, "nothing", height=110))
    return panels


def _amounts(market: MarketFrames, name: str) -> Floats:
    return np.nan_to_num(column(market.run, name, market.run["time_s"]))
