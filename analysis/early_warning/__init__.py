"""Bear-market signals: what can be known before bursts of forced sales, and whether it helps to foresee them."""

from marginquake.analysis.early_warning.folds import evaluate
from marginquake.analysis.early_warning.signals import SIGNALS, Seen, Signal, vector
from marginquake.analysis.early_warning.tables import usual, warn
from marginquake.analysis.early_warning.trial import (
    BASELINE,
    MODELS,
    Model,
    Samples,
    Trial,
    TrialPlan,
    folds_of,
    samples_of,
)

__all__ = [
    "BASELINE",
    "MODELS",
    "SIGNALS",
    "Model",
    "Samples",
    "Seen",
    "Signal",
    "Trial",
    "TrialPlan",
    "evaluate",
    "folds_of",
    "samples_of",
    "usual",
    "vector",
    "warn",
]
