"""Memory and tails of returns over several runs: the plots behind two numbers of the scoreboard."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis.facts.beside import Side
from marginquake.analysis.facts.fact import Measurement, Pool, targets
from marginquake.analysis.facts.price_bars import Bars
from marginquake.analysis.facts.prices import FIVE_MINUTES_S, MINUTE_S, time_text
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics import memory, tails
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES = 5.4
SHARE_OF_RETURNS = 4
"""Lags reach to a quarter of a run."""
THIN_LINES = 12
"""Of a file's samples, about."""


def draw(measurements: Sequence[Mapping[str, Measurement]], figure: "Figure") -> None:
    """Hill's index against the share of the sample that counts as tail, left; autocorrelation, right.

    Thin lines are runs, thick ones all runs together.
    """
    ((left, right),) = panels.panels(figure, (1.0,), widths=(1.0, 1.0), column_gap_inches=0.9)
    runs = len(measurements)
    panels.heading(
        figure,
        "Tails and memory of returns",
        f"{runs} {'run' if runs == 1 else 'runs'}: thin lines are runs, thick ones all of them together.  "
        "Real markets: a plateau between 2 and 4, no memory of sign, slow decay of size.",
    )
    _tails(left, measurements)
    _memory(right, measurements)


def draw_beside(runs: Side | None, file: Side, figure: "Figure") -> None:
    """The same of runs and of a file of prices, at the scale of its bars (a minute where they are shorter)."""
    ((left, right),) = panels.panels(figure, (1.0,), widths=(1.0, 1.0), column_gap_inches=0.9)
    step_s = max(MINUTE_S, file.series[0].bar_s)
    scale = time_text(step_s).replace(" ", "-")
    sides = [side for side in (runs, file) if side is not None]
    panels.heading(
        figure,
        f"Tails and memory of {scale} returns" + (", beside real prices" if runs is not None else ""),
        "Thick: all data of a side together"
        + ("; thin: single runs, or pieces of the file as long as all runs." if any(map(_pieces, sides)) else "."),
    )
    _tails_beside(left, sides, step_s)
    _memory_beside(right, sides, step_s, scale)


def _colour(side: Side) -> str:
    return theme.BID if side.name == "runs" else theme.ASK


def _pieces(side: Side) -> Sequence[Sequence[Bars]]:
    """What the thin lines are: runs, or samples of a file."""
    if side.name == "runs" and len(side.series) > 1:
        return [[bars] for bars in side.series]
    return side.samples[:: max(1, len(side.samples) // THIN_LINES)] if len(side.samples) > 1 else []


def _tails_beside(axis: "Axes", sides: Sequence[Side], step_s: float) -> None:
    share = tails.PLOT_FRACTIONS
    if step_s in (MINUTE_S, FIVE_MINUTES_S):
        band = targets()["SF1"]
        axis.axhspan(band.lo, band.hi, color=theme.GRID, linewidth=0)
    highest = 0.0
    for side in sides:
        for piece in _pieces(side):
            returns = np.concatenate([bars.finite_returns(step_s) for bars in piece])
            axis.plot(100 * share, tails.hill_curve(returns, share), color=_colour(side), linewidth=0.6, alpha=0.3)
        returns = np.concatenate([bars.finite_returns(step_s) for bars in side.series])
        curve = tails.hill_curve(returns, share)
        if np.isfinite(curve).any():
            highest = max(highest, float(np.nanmax(curve)))
            axis.plot(100 * share, curve, color=_colour(side), linewidth=2.2, label=side.name)
    if highest == 0.0:
        panels.nothing(axis, "too few returns")
        return
    _log_x(axis, 100 * float(share[0]), 100 * float(share[-1]))
    axis.set_ylim(0, min(max(highest + 1.0, 6.0), 10.0))
    panels.x_label(axis, "largest |returns| that count as tail, % of the sample")
    panels.panel_label(axis, "Hill's tail index" + (" (grey: band)" if step_s in (MINUTE_S, FIVE_MINUTES_S) else ""))
    axis.legend(loc="upper right")


def _memory_beside(axis: "Axes", sides: Sequence[Side], step_s: float, scale: str) -> None:
    drawn = 0
    for side in sides:
        colour = _colour(side)
        for piece in _pieces(side):
            drawn += _memory_curve(axis, piece, step_s, True, color=colour, linewidth=0.6, alpha=0.3)
        drawn += _memory_curve(axis, side.series, step_s, True, color=colour, linewidth=2.2, label=f"{side.name}, |r|")
        drawn += _memory_curve(
            axis, side.series, step_s, False, color=colour, linewidth=1.4, linestyle=":", label=f"{side.name}, r"
        )
    if not drawn:
        panels.nothing(axis, "too few returns")
        return
    axis.axhline(0, color=theme.MUTED, linewidth=0.6)
    _log_x(axis, 1.0, 100.0)
    axis.set_ylim(-0.25, 0.6)
    panels.x_label(axis, f"lag, steps of {scale.replace('-', ' ')} (means over bands of lags)")
    panels.panel_label(axis, f"Autocorrelation of {scale} returns")
    axis.legend(loc="upper right")


def _memory_curve(axis: "Axes", series: Sequence[Bars], step_s: float, sizes: bool, **look: object) -> bool:
    """One curve, as far as a quarter of the shortest series reaches; False where there is none."""
    lags = min(min(len(bars.returns(step_s)) for bars in series) // SHARE_OF_RETURNS, 100)
    if lags < 2:
        return False
    try:
        table = memory.added([bars.lagged_sums(step_s, lags, sizes) for bars in series])
        _curve(axis, memory.autocorrelation_of(table), **look)
    except Unmeasurable:
        return False
    return True


def _pools(measurements: Sequence[Mapping[str, Measurement]], name: str) -> Pool:
    return [pool for run in measurements if (pool := run[name].pool) is not None]


def _tails(axis: "Axes", measurements: Sequence[Mapping[str, Measurement]]) -> None:
    share = tails.PLOT_FRACTIONS
    band = targets()["SF1"]
    axis.axhspan(band.lo, band.hi, color=theme.GRID, linewidth=0)
    drawn, highest = False, 6.0
    for name, colour, label in (("SF1", theme.BID, "1 min"), ("SF1_5min", theme.ASK, "5 min")):
        pools = _pools(measurements, name)
        if not pools:
            continue
        for returns in pools if len(pools) > 1 else ():
            axis.plot(100 * share, tails.hill_curve(returns, share), color=colour, linewidth=0.6, alpha=0.4)
        together = tails.hill_curve(np.concatenate(list(pools)), share)
        axis.plot(100 * share, together, color=colour, linewidth=2.2, label=label)
        if np.isfinite(together).any():
            drawn, highest = True, max(highest, float(np.nanmax(together)) + 1.0)
    if not drawn:
        panels.nothing(axis, "too few returns")
        return
    _log_x(axis, 100 * float(share[0]), 100 * float(share[-1]))
    axis.set_ylim(0, min(highest, 10.0))
    panels.x_label(axis, "largest |returns| that count as tail, % of the sample")
    panels.panel_label(axis, "Hill's tail index (grey: band of the scoreboard)")
    axis.legend(loc="upper right")


def _memory(axis: "Axes", measurements: Sequence[Mapping[str, Measurement]]) -> None:
    drawn = False
    for name, colour, label in (("ACF_ABS_1", theme.ASK, "size, |r|"), ("SF2_1min", theme.BID, "return, r")):
        pools = _pools(measurements, name)
        if not pools:
            continue
        pools = [table[: 2 + int(table[0, 0]) // SHARE_OF_RETURNS] for table in pools]
        try:
            for table in pools if len(pools) > 1 else ():
                _curve(axis, memory.autocorrelation_of(table), color=colour, linewidth=0.6, alpha=0.35)
            table = memory.added(pools)
            whole = memory.autocorrelation_of(table)
        except Unmeasurable:
            continue
        noise = 1.96 / np.sqrt(table[1:, 0])
        if not drawn:
            axis.fill_between(np.arange(1, len(whole) + 1), -noise, noise, color=theme.GRID, linewidth=0)
        _curve(axis, whole, color=colour, linewidth=2.2, label=label)
        drawn = True
    if not drawn:
        panels.nothing(axis, "too few returns")
        return
    axis.axhline(0, color=theme.MUTED, linewidth=0.6)
    _log_x(axis, 1.0, 100.0)
    axis.set_ylim(-0.25, 0.6)
    panels.x_label(axis, "lag, min (means over bands of lags)")
    panels.panel_label(axis, "Autocorrelation of 1-min returns (grey: 95 % band, no memory)")
    axis.legend(loc="upper right")


def _curve(axis: "Axes", acf: Floats, **look: object) -> None:
    """Single lags at first, then means over bands of lags of equal width on the logarithmic axis."""
    bands = np.unique(np.round(np.geomspace(1, len(acf) + 1, 26)).astype(np.int64))
    means = np.add.reduceat(acf, bands[:-1] - 1) / np.diff(bands)
    axis.plot(np.sqrt(bands[:-1] * (bands[1:] - 1.0)), means, **look)  # type: ignore[arg-type]


def _log_x(axis: "Axes", low: float, high: float) -> None:
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.set_xticks([tick for tick in (1, 2, 5, 10, 20, 50, 100) if low <= tick <= high])
    axis.minorticks_off()
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
