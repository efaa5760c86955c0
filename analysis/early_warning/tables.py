"""The early warning in words and tables; it says plainly where a model does not beat volatility alone."""

import math
from collections.abc import Sequence

from marginquake.analysis import formats
from marginquake.analysis.early_warning.folds import evaluate
from marginquake.analysis.early_warning.pressure_rank import pressure_rank
from marginquake.analysis.early_warning.signals import SIGNALS
from marginquake.analysis.early_warning.trial import BASELINE, Model, Samples, Trial, TrialPlan, samples_of
from marginquake.analysis.frames.pairing import check_one_scenario
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.statistics.estimate import Estimate, Unmeasurable

HEADINGS = (
    "model", "AUC", "less baseline", "average precision", "AUC before bursts", "bursts warned of", "by luck",
    "median lead", "false alarms",
)  # fmt: skip
WEIGHT_HEADINGS = ("signal", "seen by")


def warn(runs: Sequence[RunFrames], asked: TrialPlan, market: str | None = None) -> Trial:
    """The trial over runs of one scenario, a seed each."""
    check_one_scenario(runs)
    made: list[Samples] = []
    for run in runs:
        name = market or next(iter(run.markets))
        made.append(samples_of(run.seed, run.markets[name], asked))
    return evaluate(made, asked)


def usual(run: RunFrames, market: str | None = None) -> TrialPlan:
    """Horizon, window and sampling scaled to the length of a run: a 48th, a quarter, and four samples a horizon."""
    series_s = run.markets[market or next(iter(run.markets))].series["time_s"]
    if len(series_s) < 3 or series_s[-1] <= 0:
        raise Unmeasurable("the run ends before its first samples")
    every_s = float(series_s[-1] - series_s[-2])
    horizon_s = max(10.0 * every_s, every_s * round(float(series_s[-1]) / 48.0 / every_s))
    return TrialPlan(horizon_s, 12.0 * horizon_s, max(every_s, every_s * round(horizon_s / 4.0 / every_s)))


def cells(model: Model) -> tuple[str, ...]:
    """One line of the table."""
    return (
        model.name,
        _shown(model.auc),
        "" if model.name == BASELINE else _shown(model.beyond, signed=True),
        _shown(model.precision),
        _shown(model.onset_auc),
        _shown(model.warned),
        f"{model.by_luck:.2f}",
        "n.a." if math.isnan(model.lead_s) else f"{model.lead_s / 60:.1f} min",
        f"{model.alarm_rate:.1%}",
    )


def weight_rows(trial: Trial) -> list[tuple[str, ...]]:
    """Mean weight of every standardised signal in every model."""
    return [
        (
            signal.label,
            "everybody" if signal.public else "nobody outside",
            *(f"{model.weights[name]:+.2f}" if name in model.weights else "" for model in trial.models),
        )
        for name, signal in SIGNALS.items()
        if name not in trial.missing
    ]


def verdict(model: Model) -> str:
    """Whether a model beats volatility alone, in plain words."""
    low, high = model.beyond.low, model.beyond.high
    if math.isnan(low):
        return f"{model.name}: cannot be compared with volatility alone."
    by = f"AUC {model.beyond.value:+.3f}, 95 % {low:+.3f} to {high:+.3f}"
    if low > 0 and not model.auc.low > 0.5:
        return f"{model.name}: ranks better than volatility alone ({by}), but no better than chance."
    if low > 0:
        return f"{model.name}: beats volatility alone ({by})."
    if high < 0:
        return f"{model.name}: is worse than volatility alone ({by})."
    return f"{model.name}: does not beat volatility alone ({by})."


def summary(trial: Trial) -> str:
    """What was foreseen, and from how much."""
    asked = trial.asked
    return (
        f"Event: more than {formats.short_number(trial.threshold)} forced within "
        f"{formats.duration(asked.horizon_s)} (the "
        f"{asked.quantile:g} quantile of the training seeds). {trial.samples:,} samples of {trial.seeds} seeds, "
        f"{trial.events} with an event, {formats.plural(trial.bursts, 'burst')} in {trial.seeds_with_events} of the "
        f"seeds; an average precision of {trial.events / trial.samples:.3f} would be chance."
    )


def remarks(trial: Trial) -> list[str]:
    """Signals that are missing, and why."""
    return [f"without {SIGNALS[name].label}: {why}" for name, why in trial.missing.items()]


def pressure_line(runs: Sequence[RunFrames], market: str) -> str:
    """Whether pressure ranks falls, in one line."""
    try:
        found = pressure_rank(runs, market)
    except Unmeasurable as why:
        return f"Pressure and falls: n.a., {why}."
    verdict = "better than chance" if found.auc.low > 0.5 else "no better than chance"
    return (
        f"Pressure and falls: of {found.falls} falls of 1 % in {found.seeds} seeds, PI(1 %) ranks those that go "
        f"on "
        f"more than the median {formats.percent(found.median_further)} within 15 min with an AUC of "
        f"{_shown(found.auc)}: "
        f"{verdict}."
    )


def _shown(value: Estimate, signed: bool = False) -> str:
    if math.isnan(value.value):
        return "n.a."
    sign = "+" if signed else ""
    middle = f"{value.value:{sign}.3f}"
    return middle if math.isnan(value.low) else f"{middle} ({value.low:{sign}.3f} to {value.high:{sign}.3f})"
