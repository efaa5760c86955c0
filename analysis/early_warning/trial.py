"""What is to be foreseen: forced volume in the next while, and when a burst of it begins (docs/model.md, eq. 221)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.early_warning.signals import SIGNALS, Seen, vector
from marginquake.analysis.frames.lookup import last_at
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate, Unmeasurable
from marginquake.analysis.statistics.intervals import draw_weights, interval_over_seeds, percentiles
from marginquake.analysis.statistics.ranking import Ranking
from marginquake.sim.core.typing import Bools, Floats, Ints


def forced_between(market: MarketFrames, after_s: Floats, until_s: Floats) -> Floats:
    """Forced volume (quote notional) in (after_s, until_s], to the row of the series."""
    time_s = market.series["time_s"]
    done = np.concatenate(([0.0], np.cumsum(market.series["forced_volume"])))
    return np.asarray(done[last_at(time_s, until_s) + 1] - done[last_at(time_s, after_s) + 1], np.float64)


def burst_starts(time_s: Floats, forced: Floats, threshold: float, horizon_s: float) -> Floats:
    """When each burst begins: times of a series whose `forced` (since the row before) sums to more than `threshold`
    within `horizon_s`.

    A burst is found at the first row at which the trailing sum has passed the threshold, and has begun at the last row
    from which on that much was forced; the next one is looked for once the trailing sum has fallen back.
    """
    done = np.cumsum(forced)
    before = np.concatenate(([0.0], done))[np.searchsorted(time_s, time_s - horizon_s + 1e-9, side="left")]
    trailing = done - before
    over = trailing > threshold
    first = np.flatnonzero(over & ~np.concatenate(([False], over[:-1])))
    starts = []
    for found in first.tolist():
        # the last row r with forced volume in (r, found] above the threshold
        row = int(np.searchsorted(-(done[found] - done[: found + 1]), -threshold, side="left")) - 1
        starts.append(float(time_s[max(row, 0)]))
    return np.array(starts)


BASELINE = "volatility"
VOLATILITY = ("volatility", "volatility_long")
PUBLIC = tuple(name for name, signal in SIGNALS.items() if signal.public)
MODELS: Mapping[str, tuple[str, ...]] = {
    BASELINE: VOLATILITY,
    "size of the move": ("drawdown", "rise"),
    "observable": PUBLIC,
    "omniscient": tuple(SIGNALS),
}
"""Signals of every model.  "observable": all that is public; "omniscient": the true map of liquidations too."""
FOLDS = 10
LEAST_SEEDS_WITH_EVENTS = 5
"""With events in fewer seeds than these, an interval over seeds says little."""
RESAMPLES = 1000


@final
@dataclass(frozen=True)
class TrialPlan:
    """What is to be foreseen and how it is judged.

    An event: more than the `quantile` of the training samples is forced within `horizon_s`.  Signals look back
    `window_s`; a sample every `every_s`.  `false_alarms`: share of quiet training samples that may raise an alarm.
    """

    horizon_s: float
    window_s: float
    every_s: float
    quantile: float = 0.99
    false_alarms: float = 0.05


@final
@dataclass(frozen=True)
class Samples:
    """One seed: signals at sample times, forced volume in the horizon after and before each, the whole flow."""

    seed: str
    time_s: Floats
    signals: Floats
    forced_next: Floats
    forced_last: Floats
    series_s: Floats
    series_forced: Floats
    missing: Mapping[str, str]


@final
@dataclass(frozen=True)
class Model:
    """One model over all seeds, out of sample.

    `ranking`: every sample's score by models that never saw its seed.  `onset_*`: of samples while no burst is on.
    `beyond`: area under the curve less the baseline's, paired.  `warned`: share of bursts with an alarm in the horizon
    before they begin; `lead_s`: median time from the first of these to the beginning.  `alarm_rate`: alarms among
    samples without event; `by_luck`: share of bursts that as many alarms at random would warn of (docs/model.md,
    eq. 223).  `weights`: mean over folds, of standardised signals.
    """

    name: str
    ranking: Ranking
    auc: Estimate
    precision: Estimate
    onset_auc: Estimate
    beyond: Estimate
    onset_beyond: Estimate
    precision_beyond: Estimate
    warned: Estimate
    lead_s: float
    alarm_rate: float
    by_luck: float
    weights: Mapping[str, float]


@final
@dataclass(frozen=True)
class Trial:
    """What came out: models in the order of `MODELS`.

    `events`: samples with an event, `bursts`: their beginnings, over all seeds; `missing`: signals that no model had,
    and why.
    """

    asked: TrialPlan
    models: tuple[Model, ...]
    seeds: int
    seeds_with_events: int
    samples: int
    events: int
    bursts: int
    threshold: float
    missing: Mapping[str, str]


def samples_of(seed: str, market: MarketFrames, asked: TrialPlan) -> Samples:
    """Samples of one run: from where a whole window lies behind to where a whole horizon lies ahead."""
    series_s = market.series["time_s"]
    first = max(0.0, float(series_s[0]) + asked.window_s)
    last = float(series_s[-1]) - asked.horizon_s
    if last <= first:
        raise Unmeasurable(
            f"window {asked.window_s:g} s and horizon {asked.horizon_s:g} s leave nothing of a run of "
            f"{series_s[-1]:g} s"
        )
    time_s = np.arange(first, last + 1e-9, asked.every_s)
    signals, missing = vector(Seen(market, time_s, asked.window_s, asked.horizon_s))
    return Samples(
        seed=seed,
        time_s=time_s,
        signals=signals,
        forced_next=forced_between(market, time_s, time_s + asked.horizon_s),
        forced_last=forced_between(market, time_s - asked.horizon_s, time_s),
        series_s=series_s,
        series_forced=market.series["forced_volume"],
        missing=missing,
    )


def folds_of(seeds: int, folds: int = FOLDS) -> list[tuple[Ints, Ints]]:
    """(trained on, judged on) numbers of seeds: every seed is judged once, by a model that never saw it."""
    parts = np.array_split(np.arange(seeds), min(folds, seeds))
    everyone = np.arange(seeds)
    return [(np.setdiff1d(everyone, part), part) for part in parts]


def _bursts(own: Samples, threshold: float, horizon_s: float) -> Floats:
    """Beginnings of bursts that could have been warned of: with a sample in the horizon before."""
    starts = burst_starts(own.series_s, own.series_forced, threshold, horizon_s)
    return np.asarray(starts[(starts >= own.time_s[0]) & (starts <= own.time_s[-1] + horizon_s)], np.float64)


def _leads(own: Samples, alarm: Bools, bursts: Floats, horizon_s: float) -> Floats:
    """Seconds from the first alarm in the horizon before each burst to its beginning; NaN without one."""
    raised = own.time_s[alarm]
    found = np.full(len(bursts), np.nan)
    for number, start in enumerate(bursts.tolist()):
        before = raised[(raised >= start - horizon_s) & (raised <= start)]
        if len(before):
            found[number] = start - before[0]
    return found


def _warned(leads: Sequence[Floats]) -> Estimate:
    """Share of bursts with a warning, over seeds."""
    counts = np.array([[len(each), np.isfinite(each).sum()] for each in leads], np.float64)
    if counts[:, 0].sum() == 0:
        return UNKNOWN

    def share(picks: Ints) -> Floats:
        bursts, warned = np.moveaxis(counts[picks].sum(axis=1), -1, 0)
        return np.asarray(np.divide(warned, bursts, out=np.full_like(warned, np.nan), where=bursts > 0), np.float64)

    ends = interval_over_seeds(len(counts), share, resamples=RESAMPLES)
    return Estimate(float(counts[:, 1].sum() / counts[:, 0].sum()), *ends)


def resamples(seeds: int) -> Floats:
    """How often each seed was drawn; the first row is the sample itself."""
    return np.concatenate((np.ones((1, seeds)), draw_weights(seeds, RESAMPLES)))


def _less(one: Floats, other: Floats) -> Floats:
    return np.asarray(one - other, np.float64)


def interval_of(replicates: Floats, seeds: int) -> Estimate:
    """The first value, and the interval of the others, which are its resamples of so many seeds."""
    return Estimate(float(replicates[0]), *percentiles(replicates[1:], units=seeds))
