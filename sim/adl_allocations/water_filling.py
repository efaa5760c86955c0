"""The highest scores are cut down together to one level."""

import numpy as np

from sim.adl_allocations.inputs import Candidates, Floats, Lots, greedy


def water_filling(quantity: int, candidates: Candidates) -> Lots:
    """Close of each what brings its score down to the common level L (eq. 124); the level follows from the quantity.

    A score is taken as proportional to what is left of the position (leverage and profit are), so a candidate with
    score s > L keeps the share L / s of its lots.  Scores that are not positive close last, in their order.  After
    Chitra 2025 (arXiv 2512.01112), who levels leverage: `ranking: leverage`.  Whole lots: within one lot each.
    """
    held = candidates.lots
    positive = candidates.scores > 1e-12
    rich = np.where(positive, held, 0)
    if quantity >= int(rich.sum()):
        return rich + greedy(quantity - int(rich.sum()), held - rich)
    scores = np.where(positive, candidates.scores, 1.0)
    level = _level(quantity, rich, scores)
    kept = np.ceil(rich * np.minimum(1.0, level / scores)).astype(np.int64)
    closed: Lots = rich - np.minimum(kept, rich)
    # Rounding left a few lots too many or too few: the best ranks give the one and keep the other.
    missing = quantity - int(closed.sum())
    if missing > 0:
        closed += greedy(missing, np.minimum(rich - closed, 1))
        missing = quantity - int(closed.sum())
        closed += greedy(missing, rich - closed)
    else:
        closed -= greedy(-missing, closed)
    return closed


def _level(quantity: int, lots: Lots, scores: Floats) -> float:
    """L with sum of lots * max(0, 1 - L / score) = quantity: linear in L between two scores."""
    order = np.argsort(-scores, kind="stable")
    ranked, held = scores[order], lots[order].astype(np.float64)
    cut = np.cumsum(held)
    weight = np.cumsum(held / ranked)
    # With the k best above the level: sum of their lots - L * sum of their lots / score = quantity.
    levels = (cut - quantity) / np.maximum(weight, 1e-30)
    following = np.append(ranked[1:], 0.0)
    places = np.flatnonzero(levels >= following)
    return float(max(levels[places[0]], 0.0)) if len(places) else 0.0
