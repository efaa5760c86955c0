"""What the book did."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.explanation.cascade_view import BEFORE_S, CascadeView, Section
from marginquake.analysis.formats import short_number as short


def depth(view: CascadeView) -> Section:
    """Depth on the side that forced orders run into, and the spread: normal, worst, and how soon it came back."""
    column = view.near_depth()
    side = "bids" if view.falls else "asks"
    values = view.series[column].astype(np.float64)
    normal = view.normal(column)
    inside = np.flatnonzero(view.between(view.cascade.start_s - 1e-9, view.cascade.end_s))
    if not len(inside) or not normal > 0:
        return Section("What depth did", ("The series has no depth to compare around this cascade.",))
    filled = np.nan_to_num(values[inside], nan=0.0)
    worst = int(inside[np.argmin(filled)])
    least = float(np.nan_to_num(values[worst]))
    span_s = min(BEFORE_S, view.cascade.start_s - float(view.series["time_s"][0]))
    sentences = [
        f"In the {_about(span_s)} before, {short(normal)} of {side} rested within 1 % of the price (median); "
        f"the least was {short(least)} at {formats.clock(float(view.series['time_s'][worst]))}, "
        f"{formats.percent(least / normal, 0 if least > 0.02 * normal else 1)} of that.",
        _recovery(view, values, worst, normal),
    ]
    spread = view.series["spread_ticks"].astype(np.float64)
    usual, widest = view.normal("spread_ticks"), float(np.nan_to_num(spread[inside]).max())
    if usual > 0 and widest > 0:
        sentences.append(
            f"The spread, {formats.plural(usual, 'tick')} before, widened to {formats.plural(widest, 'tick')} at most."
        )
    empty = int(np.isnan(spread[inside]).sum())
    if empty:
        sentences.append(f"In {empty} of {len(inside)} samples a side of the book was empty.")
    return Section("What depth did", tuple(sentences))


def _about(seconds: float) -> str:
    return formats.duration(60 * round(seconds / 60) if seconds >= 60 else seconds)


def _recovery(
    view: CascadeView, values: np.ndarray[tuple[int], np.dtype[np.float64]], worst: int, normal: float
) -> str:
    back = np.flatnonzero(values[worst:] >= 0.5 * normal)
    if not len(back):
        return "It has not come back to half of the normal depth before the run ends."
    seconds = float(view.series["time_s"][worst + back[0]] - view.series["time_s"][worst])
    if not seconds:
        return "It never fell below half of the normal depth."
    return f"Half of the normal depth was back {seconds:.0f} s later."
