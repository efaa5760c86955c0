"""Trained on some seeds, judged on others (docs/model.md, eq. 221-223)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from marginquake.analysis.early_warning.signals import SIGNALS
from marginquake.analysis.early_warning.trial import (
    BASELINE,
    LEAST_SEEDS_WITH_EVENTS,
    MODELS,
    Model,
    Samples,
    Trial,
    TrialPlan,
    _bursts,
    _leads,
    _less,
    _warned,
    folds_of,
    interval_of,
    resamples,
)
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.intervals import LEAST_VALUES
from marginquake.analysis.statistics.ranking import Ranking
from marginquake.analysis.statistics.regression import Logit, fit_logistic
from marginquake.sim.core.typing import Bools, Floats, Ints


def evaluate(seeds: Sequence[Samples], asked: TrialPlan, models: Mapping[str, tuple[str, ...]] = MODELS) -> Trial:
    """Train and judge every model by leave-seeds-out; intervals resample whole seeds.

    Raises `Unmeasurable` with too few seeds, or where hardly any of them has an event.
    """
    if len(seeds) < LEAST_VALUES:
        raise Unmeasurable(f"{len(seeds)} seeds: an early warning is judged by seed and needs {LEAST_VALUES}")
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
                auc=interval_of(areas[name], len(seeds)),
                precision=interval_of(precisions[name], len(seeds)),
                onset_auc=interval_of(onset_areas[name], len(seeds)),
                beyond=interval_of(_less(areas[name], areas[BASELINE]), len(seeds)),
                onset_beyond=interval_of(_less(onset_areas[name], onset_areas[BASELINE]), len(seeds)),
                precision_beyond=interval_of(_less(precisions[name], precisions[BASELINE]), len(seeds)),
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
            model = self.fits[name] = fit_logistic(table, event)
            level = self.levels[name] = float(np.quantile(model.probability(table)[~event], 1.0 - asked.false_alarms))
            self.scores[name] = [model.probability(each.signals[:, columns]) for each in own]
            self.alarms[name] = [score > level for score in self.scores[name]]
