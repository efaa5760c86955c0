"""ROC and precision-recall curves of early warnings, out of sample, and what each adds to volatility alone."""

from typing import TYPE_CHECKING

from marginquake.analysis import formats
from marginquake.analysis.early_warning.trial import BASELINE, Trial
from marginquake.analysis.presentation import panels, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT_INCHES = 5.4
COLOURS = (theme.MUTED, "#e69f00", "#0072b2", "#d4253f")
"""Baseline, size of the move, observable, omniscient."""


def draw(trial: Trial, figure: "Figure") -> None:
    """ROC left, precision and recall in the middle, differences to the baseline at the right."""
    ((roc, curve, beyond),) = panels.panels(figure, (1.0,), widths=(1.0, 1.0, 1.0), column_gap_inches=0.75)
    horizon = formats.duration(trial.asked.horizon_s)
    panels.heading(
        figure,
        "Can bursts of forced sales be foreseen?",
        f"Event: forced volume of the next {horizon} above its {trial.asked.quantile:g} quantile.  "
        f"{trial.seeds} seeds, each judged by models that never saw it; {trial.events} of {trial.samples:,} samples "
        "have one.",
    )
    roc.plot((0, 1), (0, 1), color=theme.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    for model, colour in zip(trial.models, COLOURS, strict=False):
        hits, alarms = model.ranking.counts()
        width = 1.1 if model.name == BASELINE else 1.7
        label = f"{model.name}  {model.auc.value:.2f}"
        roc.plot(alarms / alarms[-1], hits / hits[-1], color=colour, linewidth=width, label=label)
        curve.plot(
            hits[1:] / hits[-1], hits[1:] / (hits[1:] + alarms[1:]), color=colour, linewidth=width,
            label=f"{model.name}  {model.precision.value:.2f}",
        )  # fmt: skip
    base = trial.events / trial.samples
    curve.axhline(base, color=theme.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    for axis in (roc, curve):
        axis.set_xlim(-0.02, 1.02)
        axis.set_ylim(-0.02, 1.04)
    panels.x_label(roc, "share of other samples with an alarm")
    panels.panel_label(roc, "share of events foreseen; AUC in the legend")
    roc.legend(loc="lower right", fontsize=8.5)
    panels.x_label(curve, "share of events foreseen")
    panels.panel_label(curve, "precision; average in the legend")
    curve.legend(loc="upper right", fontsize=8.5)

    others = [(model, colour) for model, colour in zip(trial.models, COLOURS, strict=False) if model.name != BASELINE]
    for place, (model, colour) in enumerate(others):
        for offset, value, marker in ((-0.12, model.beyond, "o"), (0.12, model.onset_beyond, "D")):
            beyond.plot((value.low, value.high), (place + offset,) * 2, color=colour, linewidth=1.6)
            beyond.plot((value.value,), (place + offset,), marker, color=colour, markersize=6)
    beyond.plot((), (), "o", color=theme.MUTED, label="all samples")
    beyond.plot((), (), "D", color=theme.MUTED, label="before bursts only")
    beyond.axvline(0, color=theme.MUTED, linewidth=0.9)
    beyond.set_yticks(range(len(others)), [model.name.replace(" of ", "\nof ") for model, _ in others])
    beyond.set_ylim(len(others) - 0.3, -0.6)
    low, high = beyond.get_xlim()
    reach = max(abs(low), abs(high), 0.01) * 1.15
    beyond.set_xlim(-reach, reach)
    beyond.legend(loc="lower left", fontsize=8.5)
    panels.x_label(beyond, f"AUC less that of {BASELINE} alone, 95 % over seeds")
    panels.panel_label(beyond, "what it adds to volatility alone")
