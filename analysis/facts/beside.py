"""Runs beside a real price series: the same facts, by the same estimators, at the same bars, with their difference.

All data of a side go into one estimate.  Kurtosis and its like grow with the length of the record, so where one side
holds five times as much as the other or more, it is cut into samples as long as the other, and the median over samples
stands for it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, final

import numpy as np

from marginquake.analysis.facts.fact import Fact, OfPrices, targets
from marginquake.analysis.facts.price_bars import Bars
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate, Unmeasurable
from marginquake.analysis.statistics.intervals import LEAST_VALUES, block_draws, interval_over_seeds, percentiles
from marginquake.sim.core.typing import Floats, Ints

SEED = 20_261
"""Of all resampling here."""
RESAMPLES, RESAMPLES_OF_FEW, FEW = 400, 1000, 15
"""Of facts that are sums or order statistics; few units need percentiles farther out.  A fit keeps its own number."""
BLOCKS = 20
"""Into which a record is cut for an interval over time."""
LEAST_BLOCK = 30
"""Bars of such a block, at least."""
CUT_FROM = 5
"""A side that holds so many times as much as the other is cut into samples."""
MOST_SAMPLES = 200
"""More of them, spread evenly, would not change a median."""

Verdict = Literal["agree", "differ", "cannot tell", "n.a."]


@final
@dataclass(frozen=True)
class Side:
    """One of the two: runs, one series each, or a file, one series.

    `samples`: what one estimate is made from, a list of stretches each; one sample is all of the side.
    """

    name: Literal["runs", "file"]
    series: tuple[Bars, ...]
    samples: tuple[tuple[Bars, ...], ...]

    @property
    def duration_s(self) -> float:
        """Time of all series together, seconds."""
        return sum(bars.duration_s for bars in self.series)

    @property
    def sample_s(self) -> float:
        """Time of one sample, seconds."""
        return sum(bars.duration_s for bars in self.samples[0])


@final
@dataclass(frozen=True)
class SideEstimate:
    """One fact of one side; NaN with the reason where it cannot answer.

    `over`: what the interval is over.  `needs_s`: length of record that would do.  `needs_bar_s`: bars that would do.
    `spread`: of 95 % of the samples around their median, below and above it.  `units`: how many the interval is over.
    """

    found: Estimate = UNKNOWN
    over: Literal["runs", "time", "samples", ""] = ""
    reason: str = ""
    needs_s: float = math.nan
    needs_bar_s: float = math.nan
    spread: tuple[float, float] = (0.0, 0.0)
    units: int = 0

    def beside(self, other: "SideEstimate") -> "SideEstimate":
        """An interval over time or few runs reaches at least as far as samples so long stray on the other side.

        What one record or a few hold cannot say what other days bring; the samples of the other side can.
        """
        is_short = self.over == "time" or (self.over == "runs" and self.units < FEW)
        if not is_short or other.over != "samples" or not self.found.has_interval:
            return self
        value, low, high = self.found
        below, above = other.spread
        return replace(self, found=Estimate(value, min(low, value - above), max(high, value + below)))


@final
@dataclass(frozen=True)
class BesideRow:
    """One fact of both sides (`runs` is None where a file stands alone), the band, and their difference, runs - file.

    `verdict`: "differ" where the difference's interval leaves out 0; "cannot tell" where there is no interval, or one
    so wide that it says nothing (`OfPrices.tells`); "n.a." where a side cannot answer.
    """

    fact: Fact
    runs: SideEstimate | None
    file: SideEstimate
    difference: Estimate
    verdict: Verdict

    @property
    def band(self) -> tuple[float, float]:
        """Ends of the published band, NaN without one."""
        target = targets()[self.fact.target] if self.fact.target is not None else None
        return (target.lo, target.hi) if target is not None else (math.nan, math.nan)

    @property
    def overlap(self) -> bool:
        """Do the two intervals overlap?"""
        if self.runs is None:
            return False
        ours, real = self.runs.found, self.file.found
        return ours.has_interval and real.has_interval and ours.low <= real.high and real.low <= ours.high

    def in_band(self, side: SideEstimate) -> bool | None:
        """Is an estimate inside the band?  None without estimate or band."""
        lo, hi = self.band
        value = abs(side.found.value) if self.fact.magnitude else side.found.value
        return None if math.isnan(lo) or math.isnan(value) else lo <= value <= hi


def sides(runs: Sequence[Bars], file: Bars) -> tuple[Side | None, Side]:
    """Both sides, the longer one cut into samples where it is much longer.  Without runs: the file whole."""
    if not runs:
        return None, Side("file", (file,), ((file,),))
    length = min(*(bars.steps for bars in runs), file.steps)
    together = sum(bars.steps for bars in runs)
    each = max(1, min(together, file.steps) // length)
    return (
        Side("runs", tuple(runs), _samples(runs, length, each, together >= CUT_FROM * file.steps)),
        Side("file", (file,), _samples((file,), length, each, file.steps >= CUT_FROM * together)),
    )


def _samples(series: Sequence[Bars], length: int, each: int, cut: bool) -> tuple[tuple[Bars, ...], ...]:
    """Samples of `each` stretches of `length` steps; all as one sample unless `cut` gives enough of them."""
    if cut:
        stretches = [(bars, k * length) for bars in series for k in range(bars.steps // length)]
        count = len(stretches) // each
        if count >= CUT_FROM:
            chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_SAMPLES)).round().astype(np.int64))
            # As far apart as they can be: runs of several seeds know nothing of each other either.
            return tuple(
                tuple(bars.stretch(at, at + length) for bars, at in stretches[k : each * count : count])
                for k in chosen.tolist()
            )
    return (tuple(series),)


def measure_beside(facts: Sequence[Fact], runs: Side | None, file: Side) -> list[BesideRow]:
    """One row a fact that a price series can answer."""
    return [_row(fact, fact.of_prices, runs, file) for fact in facts if fact.of_prices is not None]


def _row(fact: Fact, of_prices: OfPrices, runs: Side | None, file: Side) -> BesideRow:
    real = estimate_of(fact, of_prices, file)
    if runs is None:
        return BesideRow(fact, None, real, UNKNOWN, "n.a." if math.isnan(real.found.value) else "cannot tell")
    ours = estimate_of(fact, of_prices, runs)
    ours, real = ours.beside(real), real.beside(ours)
    difference = difference_of(ours.found, real.found)
    return BesideRow(fact, ours, real, difference, _verdict(of_prices, real.found, difference))


def _verdict(of_prices: OfPrices, real: Estimate, difference: Estimate) -> Verdict:
    if math.isnan(difference.value):
        return "n.a."
    if not difference.has_interval:
        return "cannot tell"
    if not difference.low <= 0.0 <= difference.high:
        return "differ"
    return "agree" if half_width(difference) <= tells(of_prices, real) else "cannot tell"


def half_width(estimate: Estimate) -> float:
    """Half of an interval."""
    return 0.5 * (estimate.high - estimate.low)


def tells(of_prices: OfPrices, real: Estimate) -> float:
    """Half of the widest interval of a difference that still says something."""
    return 0.5 * abs(real.value) if of_prices.tells is None else of_prices.tells


def difference_of(first: Estimate, second: Estimate) -> Estimate:
    """first - second of two independent estimates, its interval made from theirs.

    Each end goes as far as the two ends on its side together, as standard errors add up: by the root of the sum of
    squares (Zou and Donner, Statistics in Medicine 27, 2008), so that skewed intervals stay skewed.
    """
    value = first.value - second.value
    if not (first.has_interval and second.has_interval):
        return Estimate(value)
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, value - down, value + up)


def estimate_of(fact: Fact, of_prices: OfPrices, side: Side) -> SideEstimate:
    """One fact of one side, with its interval."""
    if len(side.samples) > 1:
        return _over_samples(fact, of_prices, side)
    pools, why = _pools(of_prices, side.series)
    try:
        value = _pooled(fact, pools, why)
    except Unmeasurable as reason:
        needs_s = side.duration_s / reason.share if reason.share > 0 else math.nan
        return SideEstimate(reason=str(reason), needs_s=needs_s, needs_bar_s=reason.step_s)
    if len(pools) >= LEAST_VALUES:
        ends = _interval(fact, len(pools), lambda picks: [pools[run] for run in picks])
        return SideEstimate(Estimate(value, *ends), "runs", units=len(pools))
    blocks, _ = _pools(of_prices, [block for bars in side.series for block in _blocks(bars, side)])

    def again(picks: Ints) -> list[Floats]:
        return [of_prices.joined([blocks[k] for k in run]) for run in np.array_split(picks, len(pools))]

    return SideEstimate(Estimate(value, *_interval(fact, len(blocks), again)), "time")


def _over_samples(fact: Fact, of_prices: OfPrices, side: Side) -> SideEstimate:
    values, reasons = [], []
    for sample in side.samples:
        pools, why = _pools(of_prices, sample)
        try:
            values.append(_pooled(fact, pools, why))
        except Unmeasurable as reason:
            reasons.append(reason)
    if 2 * len(values) < len(side.samples):
        worst = reasons[len(reasons) // 2]
        needs_s = side.sample_s / worst.share if worst.share > 0 else math.nan
        return SideEstimate(reason=str(worst), needs_s=needs_s, needs_bar_s=worst.step_s)
    found = np.array(values)
    # Neighbouring samples of one series share its calm and wild times: they are drawn in blocks.
    length = round(len(found) ** (1 / 3)) if side.name == "file" and len(found) >= 2 * LEAST_VALUES else 1
    medians = np.asarray(np.median(found[block_draws(len(found), length, seed=SEED)], axis=1), np.float64)
    ends = percentiles(medians, units=len(found) // length)
    middle = float(np.median(found))
    low, high = np.quantile(found, (0.025, 0.975))
    return SideEstimate(Estimate(middle, *ends), "samples", spread=(middle - float(low), float(high) - middle))


def _pools(of_prices: OfPrices, series: Sequence[Bars]) -> tuple[list[Floats], Unmeasurable]:
    """The pools of those that can answer, and why the others cannot."""
    pools, why = [], Unmeasurable("there is nothing to measure")
    for bars in series:
        try:
            pools.append(of_prices.pool(bars))
        except Unmeasurable as reason:
            why = reason
    return pools, why


def _pooled(fact: Fact, pools: Sequence[Floats], why: Unmeasurable) -> float:
    if not pools or fact.pooled is None:
        raise why
    value = float(fact.pooled(pools))
    if not math.isfinite(value):
        raise Unmeasurable("the price never moved")
    return value


def _blocks(bars: Bars, side: Side) -> list[Bars]:
    """A series in blocks of one length; each knows what comes after it, so that no pair or span is lost."""
    steps = sum(each.steps for each in side.series)
    count = max(1, min(round(BLOCKS * bars.steps / steps), bars.steps // LEAST_BLOCK))
    edges = np.linspace(0, bars.steps, count + 1).round().astype(np.int64).tolist()
    return [bars.block(first, last) for first, last in pairwise(edges)]


def _interval(fact: Fact, units: int, again: Callable[[Ints], Sequence[Floats]]) -> tuple[float, float]:
    """Percentiles of the fact of resamples of units; none where half of them cannot answer."""

    def of_each(picks: Ints) -> Floats:
        found = np.full(len(picks), math.nan)
        for row, chosen in enumerate(picks):
            try:
                found[row] = fact.pooled(again(chosen)) if fact.pooled is not None else math.nan
            except Unmeasurable:
                continue
        return found if 2 * np.isfinite(found).sum() >= len(found) else np.full(len(found), math.nan)

    usual = RESAMPLES_OF_FEW if units < FEW else RESAMPLES
    resamples = usual if fact.resamples >= Fact.resamples else fact.resamples
    return interval_over_seeds(units, of_each, resamples=resamples, seed=SEED)
