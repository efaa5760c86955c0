"""Twins: the price of this run over that of the same seed with one mechanism off, and what the mechanism did."""

import math

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.report.section import Chart, Content, Table
from marginquake.analysis.report.time_chart import Line, Panel, busy_windows, lines, time_chart
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.studies.twins import TwinResult, known_twins
from marginquake.analysis.studies.twins.sentences import two_sizes

HEADINGS = ("effect of", "with the others", "amplification", "share of the move", "seeds")


def applies(run: RunFrames, market: MarketFrames) -> bool:
    """Only where `marginquake counterfactual` has been run."""
    return bool(_known(run, market))


def content(run: RunFrames, market: MarketFrames) -> Content:
    """One panel a twin, and a table of effects."""
    known = _known(run, market)
    panels = [_panel(market, each) for each in known]
    chart = Chart(
        "panels",
        "Price with and without a mechanism",
        time_chart(market, panels),
        "The same seed and the same random streams: what differs between the lines is what the mechanism did.",
    )
    rows = [
        (
            _names(effect.of),
            f"{_names(effect.given)} off" if effect.given else "as they are",
            _interval(effect.amplification),
            _interval(effect.share, 100, " %"),
            str(effect.n),
        )
        for each in known
        for effect in each.effects
    ]
    caption = "Estimates over seeds with their 95 % interval, where there are five seeds or more."
    sizes = filter(None, (two_sizes(each.direction, market.run["last"]) for each in known[:1]))
    return Content(
        lead=" ".join((*map(_sentence, known), *sizes)),
        charts=[chart],
        tables=[Table(HEADINGS, rows, caption, words=2)] if rows else [],
    )


def _known(run: RunFrames, market: MarketFrames) -> list[TwinResult]:
    return [each for each in known_twins(run) if each.market == market.name and each.without != ("nothing",)]


def _panel(market: MarketFrames, result: TwinResult) -> Panel:
    without = f"without {_names(result.without)}"
    time_s = np.array(result.time_s)
    each = [Line("as it was", "mark", np.array(result.price_with), 1.6)]
    each.append(Line(without, "without", np.array(result.price_without), 1.6))
    run = market.run
    each.append(Line("fundamental", "fundamental", np.interp(time_s, run["time_s"], run["fundamental"]), 1.0, (2, 3)))
    return lines(f"Price with and {without}", "quote units", "price", time_s, each, busy_windows(market), height=240)


def _sentence(result: TwinResult) -> str:
    word = "fell" if result.direction == "fall" else "rose"
    text = (
        f"Without {_names(result.without)} the price of the same seed {word} by {formats.percent(result.fall_without)} "
        f"instead of {formats.percent(result.fall_with)} from its start"
    )
    if len(result.seeds) == 1:
        return f"{text}."
    return f"{text}; over {len(result.seeds)} seeds the amplification is {_interval(result.amplification)}."


def _names(mechanisms: tuple[str, ...]) -> str:
    return " and ".join(name.replace("_", " ") for name in mechanisms)


def _interval(estimate: Estimate, scale: float = 1.0, unit: str = "") -> str:
    text = f"{_number(estimate.value, scale)}{unit}"
    if not estimate.has_interval:
        return text
    return f"{text} ({_number(estimate.low, scale)} to {_number(estimate.high, scale)})"


def _number(value: float, scale: float) -> str:
    if math.isnan(value):
        return "none"
    return (f"{value:.2f}" if scale == 1 else str(round(scale * value))).replace("-", "\u2212")
