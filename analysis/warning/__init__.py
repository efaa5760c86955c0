"""Bear-market signals: what can be known before bursts of forced sales, and whether it helps to foresee them."""

from analysis.warning.board import usual, warn
from analysis.warning.signals import SIGNALS, Seen, Signal, vector
from analysis.warning.trial import BASELINE, MODELS, Asked, Model, Samples, Trial, evaluate, folds_of, samples_of

__all__ = [
    "BASELINE",
    "MODELS",
    "SIGNALS",
    "Asked",
    "Model",
    "Samples",
    "Seen",
    "Signal",
    "Trial",
    "evaluate",
    "folds_of",
    "samples_of",
    "usual",
    "vector",
    "warn",
]
