"""Metaorders out of fills, and how far they move the price for their size."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.frames.market import Fills
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.memory import least
from marginquake.sim.core.typing import Bools, Floats, Ints

LEAST_CHILDREN = 3
"""An order in one or two pieces is no metaorder."""
LEAST_METAORDERS = 50
LEAST_IN_BIN = 10
LEAST_BINS = 4
CHI_SQUARED_5PCT = 5.99
"""95 % of a chi-squared variable with two degrees of freedom."""
MISFIT = 0.05
"""Relative error of a bin that no number of metaorders removes."""
FIRST_OCTAVE, OCTAVES = -40, 45
"""Bins of size: factors of 2 of the daily volume, the same for every run, so that tables add up."""


@final
@dataclass(frozen=True)
class TakerOrders:
    """One row an aggressive order: all its fills together, in the order in which they happened.

    `price_before` is the last price before its first fill (NaN for the first of all), `price_after` its last fill's.
    """

    time_s: Floats
    side: Ints
    account: Ints
    notional: Floats
    price_before: Floats
    price_after: Floats

    def __len__(self) -> int:
        return len(self.time_s)


@final
@dataclass(frozen=True)
class Metaorders:
    """One row a metaorder: size in quote units, and the log return on its side from before its first to its last child.

    `start_s`: time of its first child.
    """

    start_s: Floats
    notional: Floats
    move: Floats


def taker_orders(fills: Fills) -> TakerOrders:
    """Group fills by the aggressor's order.  An order matches within one instant: its fills follow each other."""
    if len(fills) == 0:
        nothing, none = np.zeros(0), np.zeros(0, np.int64)
        return TakerOrders(nothing, none, none, nothing, nothing, nothing)
    starts = np.flatnonzero(np.diff(fills.order_id, prepend=fills.order_id[0] - 1))
    ends = np.append(starts[1:], len(fills)) - 1
    before = np.where(starts > 0, fills.price[starts - 1], np.nan)
    return TakerOrders(
        time_s=fills.time_s[starts],
        side=fills.side[starts],
        account=fills.account[starts],
        notional=np.add.reduceat(fills.notional, starts),
        price_before=before,
        price_after=fills.price[ends],
    )


def metaorders(orders: TakerOrders, is_whale: Bools, gap_s: float) -> Metaorders:
    """Runs of one account's same-side taker orders, cut where it pauses for `gap_s` or turns.

    `is_whale[row]`: whose orders count.  A run that was perhaps going on before the record began is left out.
    """
    chosen = np.flatnonzero(is_whale[orders.account])
    if len(chosen) == 0:
        raise Unmeasurable("no account of a whale ever took")
    chosen = chosen[np.argsort(orders.account[chosen], kind="stable")]
    account, side, time_s = orders.account[chosen], orders.side[chosen], orders.time_s[chosen]
    cut = (np.diff(account) != 0) | (np.diff(side) != 0) | (np.diff(time_s) >= gap_s)
    starts = np.concatenate(([0], np.flatnonzero(cut) + 1))
    ends = np.append(starts[1:], len(chosen)) - 1
    with np.errstate(invalid="ignore"):
        move = side[starts] * np.log(orders.price_after[chosen[ends]] / orders.price_before[chosen[starts]])
    whole = (ends - starts + 1 >= LEAST_CHILDREN) & np.isfinite(move)
    whole &= time_s[starts] >= orders.time_s[0] + gap_s
    return Metaorders(
        start_s=time_s[starts][whole],
        notional=np.add.reduceat(orders.notional[chosen], starts)[whole],
        move=move[whole],
    )


def impact_table(size: Floats, impact: Floats) -> Floats:
    """(OCTAVES, 4): count, sum of ln size, sum of impact, sum of its square, by octave of size."""
    octave = np.floor(np.log2(size)).astype(np.int64) - FIRST_OCTAVE
    octave = octave.clip(0, OCTAVES - 1)
    columns = (np.ones(len(size)), np.log(size), impact, impact**2)
    return np.stack([np.bincount(octave, column, OCTAVES) for column in columns], axis=1)


@final
@dataclass(frozen=True)
class Fit:
    """A fitted number and its standard error."""

    value: float
    error: float


def impact_exponent(table: Floats) -> Fit:
    """The exponent of impact in size: a power law through the mean impact of each octave of size.

    Least squares on the means themselves, weighted by their squared standard errors, not on their logarithms: in first
    order these are the weights of a line through the log-log plot, but octaves whose mean impact came out negative stay
    in, and leaving them out would flatten the law.
    """
    x, mean, weight = _octaves(table)
    x = x - np.average(x)

    def shapes(exponents: Floats) -> tuple[Floats, Floats]:
        shape = np.exp(exponents[:, None] * x)
        return shape, np.sum(weight * mean * shape, axis=1) / np.sum(weight * shape**2, axis=1)

    def misfit(exponents: Floats) -> Floats:
        shape, factor = shapes(exponents)
        return np.asarray(np.sum(weight * (mean - factor[:, None] * shape) ** 2, axis=1), np.float64)

    best = least(misfit, -1.0, 2.0)
    (shape,), (factor,) = shapes(np.array([best]))
    remains = float(misfit(np.array([best]))[0])
    if factor <= 0.0 or float(np.sum(weight * mean**2)) - remains < CHI_SQUARED_5PCT:
        raise Unmeasurable("metaorders do not move the price their way: the impact is not distinct from none")
    gradient = np.stack((shape, factor * shape * x))
    covariance = np.linalg.inv((gradient * weight) @ gradient.T)
    return Fit(best, math.sqrt(max(1.0, remains / (len(x) - 2)) * float(covariance[1, 1])))


def impact_prefactor(table: Floats) -> Fit:
    """Y of impact = Y sqrt(size), the exponent held at 1/2; fitted as `impact_exponent`."""
    x, mean, weight = _octaves(table)
    root = np.exp(0.5 * x)
    information = float(np.sum(weight * root**2))
    value = float(np.sum(weight * mean * root)) / information
    remains = float(np.sum(weight * (mean - value * root) ** 2))
    return Fit(value, math.sqrt(max(1.0, remains / (len(x) - 1)) / information))


def _octaves(table: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean ln size, mean impact and weight of the octaves that hold enough."""
    if table[:, 0].sum() < LEAST_METAORDERS:
        raise Unmeasurable(f"{int(table[:, 0].sum())} metaorders: fewer than {LEAST_METAORDERS}")
    count, log_size, total, squares = table[table[:, 0] >= LEAST_IN_BIN].T
    if len(count) < LEAST_BINS:
        raise Unmeasurable(f"metaorders fill {len(count)} octaves of size: fewer than {LEAST_BINS}")
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0.0) / (count - 1.0)
    return log_size / count, mean, 1.0 / np.maximum(variance + (MISFIT * mean) ** 2, 1e-300)
