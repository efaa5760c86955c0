"""Can bursts of forced sales be foreseen?  Trained on some seeds, judged on others (docs/model.md, eq. 221-223)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.estimate import UNKNOWN, Estimate
from analysis.facts.fact import Unmeasurable
from analysis.load import Bools, Floats, Ints, MarketFrames
from analysis.sweeps.intervals import LEAST_VALUES, percentiles
from analysis.warning.logit import Logit, fit
from analysis.warning.ranking import Ranking
from analysis.warning.signals import SIGNALS, Seen, vector
from analysis.warning.target import burst_starts, forced_between

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


def evaluate(seeds: Sequence[Samples], asked: TrialPlan, models: Mapping[str, tuple[str, ...]] = MODELS) -> Trial:
    """Train and judge every model by leave-seeds-out; intervals resample whole seeds.

    Raises `Unmeasurable` with too few seeds, or where hardly any of them has an event.
    """
    if len(seeds) < LEAST_VALUES + 1:
        raise Unmeasurable(f"{len(seeds)} seeds: an early warning is judged by seed and needs {LEAST_VALUES + 1}")
    missing = {name: why for each in seeds for name, why in each.missing.items()}
    kept = {model: tuple(name for name in names if name not in missing) for model, names in models.items()}
    kept = {model: names for model, names in kept.items() if names}
    folds = [_Fold(seeds, *fold, asked, kept) for fold in folds_of(len(seeds))]
    place = {number: (fold, at) for fold in folds for at, number in enumerate(fold.judged.tolist())}
    order = [place[number] for number in range(len(seeds))]
    event = [fold.events[at] for fold, at in order]
    quiet = [fold.quiet[at] for fold, at in order]
    with_events = sum(bool(each.any()) for each in event)
    if with_events < LEAST_SEEDS_WITH_EVENTS:
        raise Unmeasurable(
            f"{with_events} of {len(seeds)} seeds have an event: too few to judge a warning; take more or longer runs, "
            "a smaller --quantile or a scenario with more forced sales"
        )
    happened, calm = np.concatenate(event), np.concatenate(quiet)
    group = np.repeat(np.arange(len(seeds)), [len(each.time_s) for each in seeds])
    rankings, onset = {}, {}
    for name in kept:
        score = np.concatenate([fold.scores[name][at] for fold, at in order])
        rankings[name] = Ranking(score, happened, group, len(seeds))
        onset[name] = Ranking(score[calm], happened[calm], group[calm], len(seeds))
    drawn = resamples(len(seeds))
    areas = {name: ranking.auc(drawn) for name, ranking in rankings.items()}
    precisions = {name: ranking.average_precision(drawn) for name, ranking in rankings.items()}
    onset_areas = {name: ranking.auc(drawn) for name, ranking in onset.items()}
    bursts = [fold.bursts[at] for fold, at in order]
    found = []
    for name in kept:
        alarms = [fold.alarms[name][at] for fold, at in order]
        leads = [
            _leads(each, alarm, burst, asked.horizon_s)
            for each, alarm, burst in zip(seeds, alarms, bursts, strict=True)
        ]
        raised = np.concatenate(alarms)[~happened]
        known = np.concatenate(leads)
        known = known[np.isfinite(known)]
        found.append(
            Model(
                name=name,
                ranking=rankings[name],
                auc=interval_of(areas[name]),
                precision=interval_of(precisions[name]),
                onset_auc=interval_of(onset_areas[name]),
                beyond=interval_of(_less(areas[name], areas[BASELINE])),
                onset_beyond=interval_of(_less(onset_areas[name], onset_areas[BASELINE])),
                precision_beyond=interval_of(_less(precisions[name], precisions[BASELINE])),
                warned=_warned(leads),
                lead_s=float(np.median(known)) if len(known) else math.nan,
                alarm_rate=float(raised.mean()),
                by_luck=1.0 - (1.0 - float(raised.mean())) ** (asked.horizon_s / asked.every_s),
                weights={
                    signal: float(np.mean([fold.fits[name].weights[k] for fold in folds]))
                    for k, signal in enumerate(kept[name])
                },
            )
        )
    return Trial(
        asked=asked,
        models=tuple(found),
        seeds=len(seeds),
        seeds_with_events=with_events,
        samples=len(rankings[BASELINE].event),
        events=int(rankings[BASELINE].event.sum()),
        bursts=sum(len(each) for each in bursts),
        threshold=float(np.mean([fold.threshold for fold in folds])),
        missing=missing,
    )


class _Fold:
    """Models trained on some seeds, and what they say of the others; nothing here comes from the others but that."""

    def __init__(
        self,
        seeds: Sequence[Samples],
        trained: Ints,
        judged: Ints,
        asked: TrialPlan,
        models: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.judged = judged
        training = [seeds[k] for k in trained]
        forced = np.concatenate([each.forced_next for each in training])
        self.threshold = float(np.quantile(forced, asked.quantile))
        event = forced > self.threshold
        if not event.any():
            raise Unmeasurable(
                f"nothing above the {asked.quantile:g} quantile of forced volume: hardly anything is forced"
            )
        own = [seeds[k] for k in judged]
        self.events: list[Bools] = [each.forced_next > self.threshold for each in own]
        self.quiet: list[Bools] = [each.forced_last <= self.threshold for each in own]
        self.bursts = [_bursts(each, self.threshold, asked.horizon_s) for each in own]
        self.fits: dict[str, Logit] = {}
        self.levels: dict[str, float] = {}
        self.scores: dict[str, list[Floats]] = {}
        self.alarms: dict[str, list[Bools]] = {}
        for name, signals in models.items():
            columns = [list(SIGNALS).index(signal) for signal in signals]
            table = np.concatenate([each.signals[:, columns] for each in training])
            model = self.fits[name] = fit(table, event)
            level = self.levels[name] = float(np.quantile(model.probability(table)[~event], 1.0 - asked.false_alarms))
            self.scores[name] = [model.probability(each.signals[:, columns]) for each in own]
            self.alarms[name] = [score > level for score in self.scores[name]]


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
    drawn = np.random.default_rng(1).integers(0, len(counts), (RESAMPLES, len(counts)))
    sums = counts[drawn].sum(axis=1)
    known = sums[sums[:, 0] > 0]
    return Estimate(float(counts[:, 1].sum() / counts[:, 0].sum()), *percentiles(known[:, 1] / known[:, 0]))


def resamples(seeds: int) -> Floats:
    """How often each seed was drawn; the first row is the sample itself."""
    drawn = np.random.default_rng(1).multinomial(seeds, np.full(seeds, 1.0 / seeds), RESAMPLES)
    return np.concatenate((np.ones((1, seeds)), drawn))


def _less(one: Floats, other: Floats) -> Floats:
    return np.asarray(one - other, np.float64)


def interval_of(replicates: Floats) -> Estimate:
    """The first value, and the interval of the others, which are its resamples."""
    known = replicates[1:][np.isfinite(replicates[1:])]
    if len(known) == 0:
        return Estimate(float(replicates[0]))
    return Estimate(float(replicates[0]), *percentiles(known))
