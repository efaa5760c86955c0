"""Margin-call pressure and clusters of volatility of several runs, in a few lines."""

import math
from collections.abc import Sequence

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.facts import METAORDER_GAP_S
from marginquake.analysis.facts.fact import MissingExtra
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.risk.pressure import DIRECTIONS, MOVES, pressure
from marginquake.analysis.risk.volatility import Clusters, volatility_clusters
from marginquake.analysis.statistics.estimate import Unmeasurable

MEMORY = ("SF3", "SF8")
"""Of the scoreboard: decay exponent of ACF(|r|), persistence by GARCH(1,1)."""


def pressure_lines(runs: Sequence[RunFrames], market: str) -> list[str]:
    """Pressure at the start and at its highest, mean over runs, a line a direction and D."""
    lines = []
    for direction in DIRECTIONS:
        for move in MOVES:
            start, most, top_up, why = [], [], [], ""
            for run in runs:
                try:
                    found = pressure(run.markets[market], move, direction)
                except Unmeasurable as reason:
                    why = str(reason)
                    continue
                first = int(np.searchsorted(found.time_s, -1e-9))
                if first < len(found.time_s) and np.isfinite(found.index[first:]).any():
                    start.append(found.index[first])
                    most.append(np.nanmax(found.index[first:]))
                    top_up.append(found.top_up[first])
            head = f"Pressure of a {direction} of {formats.percent(move, 1)}"
            if not start:
                lines.append(f"{head}: n.a., {why or 'nothing rests in the book'}")
                continue
            if np.max(most) == 0.0:
                lines.append(f"{head}: would force nothing, at no time of the run")
                continue
            lacking = formats.short_number(float(np.nanmean(top_up)))
            lines.append(
                f"{head}: forces {_times(start)} the depth on the way at the start, at most {_times(most)}; called "
                f"accounts would lack {lacking} of maintenance margin there, at the start"
            )
    return lines


def _times(ratios: Sequence[float]) -> str:
    """Mean over the runs that have one."""
    known = [each for each in ratios if not math.isnan(each)]
    if not known:
        return "nothing against"
    mean = math.fsum(known) / len(known)
    return "without any of" if math.isinf(mean) else f"{mean:.2f} times"


def volatility_lines(runs: Sequence[RunFrames], market: str) -> list[str]:
    """Clusters of volatility, means over runs, and what memory the scoreboard's estimators find."""
    found: list[Clusters] = []
    why = ""
    for run in runs:
        try:
            found.append(volatility_clusters(run.markets[market]))
        except Unmeasurable as reason:
            why = str(reason)
    if not found:
        return [f"Volatility clusters: n.a., {why}"]
    durations = np.concatenate([each.duration_s for each in found])
    lines = [
        f"Volatility clusters ({formats.duration(found[0].window_s)} above their 95 % quantile, gaps under "
        f"{formats.duration(found[0].gap_s)}): {np.mean([len(each) for each in found]):.1f} a run "
        f"({np.mean([each.shuffled for each in found]):.1f} if the windows came in random order), median duration "
        f"{np.median(durations) / 60:.0f} min, longest {durations.max() / 60:.0f} min, "
        f"{np.mean([each.variance_share for each in found]):.0%} of all variance"
    ]
    return [*lines, *_memory(runs, market)]


def _memory(runs: Sequence[RunFrames], market: str) -> list[str]:
    """Decay of ACF(|r|) and persistence by GARCH, as `marginquake facts` has them."""
    from marginquake.analysis.facts import FACTS, need_extra
    from marginquake.analysis.facts.observed import Observed
    from marginquake.analysis.facts.score_rows import rows_of

    try:
        need_extra()
    except MissingExtra as error:
        return [f"Memory of volatility: n.a., {error}"]
    memory = {name: FACTS[name] for name in MEMORY}
    measured = []
    for run in runs:
        observed = Observed(run, run.markets[market], METAORDER_GAP_S)
        measured.append({name: fact.measure(observed) for name, fact in memory.items()})
    return [
        f"{row.label}: {row.reason if math.isnan(row.estimate) else format(row.estimate, '.3g')}"
        + (f" (95 %: {row.low:.3g} to {row.high:.3g})" if math.isfinite(row.low) else "")
        for row in rows_of(memory, measured)
    ]
