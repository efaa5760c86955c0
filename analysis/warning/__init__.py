"""Bear-market signals: what can be known before bursts of forced sales, and whether it helps to foresee them."""

from analysis.warning.board import usual, warn
from analysis.warning.signals import SIGNALS, Seen, Signal, vector
from analysis.warning.trial import BASELINE, MODELS, Model, Samples, Trial, TrialPlan, evaluate, folds_of, samples_of

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
