"""How well a score ranks events before the rest: area under the ROC curve and average precision, also of resamples.

Ties count half in the area, and are one step of the precision-recall curve.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from marginquake.sim.core.typing import Bools, Floats, Ints


@final
@dataclass(frozen=True)
class Ranking:
    """Scores, what happened, and the group (seed) of every sample, 0 to `groups` - 1.

    A resample of groups is a row of weights, how often each was drawn; the measures take (resamples, groups) and give
    one value a resample.  What is cumulated down the scores is linear in the weights, so nothing is sorted twice.
    """

    score: Floats
    event: Bools
    group: Ints
    groups: int

    @cached_property
    def _cumulated(self) -> tuple[Floats, Floats]:
        """(distinct scores + 1, groups): events and others at or above each, highest first; the first row is 0."""
        order = np.argsort(-self.score, kind="stable")
        ordered = self.score[order]
        last_of_tie = np.flatnonzero(np.concatenate((ordered[1:] != ordered[:-1], [True])))
        one = np.zeros((len(order), self.groups))
        one[np.arange(len(order)), self.group[order]] = 1.0
        event = self.event[order][:, None]
        nothing = np.zeros((1, self.groups))
        hits, others = (np.cumsum(np.where(chosen, one, 0.0), axis=0)[last_of_tie] for chosen in (event, ~event))
        return np.concatenate((nothing, hits)), np.concatenate((nothing, others))

    def counts(self) -> tuple[Floats, Floats]:
        """Events and others at or above every distinct score, highest first; both begin with 0."""
        hits, others = self._cumulated
        return hits.sum(axis=1), others.sum(axis=1)

    def auc(self, weights: Floats | None = None) -> Floats:
        """Chance that an event scores higher than another sample, ties half; NaN without both kinds."""
        weight = np.ones((1, self.groups)) if weights is None else weights
        hits, others = self._cumulated
        won = np.diff(others, axis=0).T @ (0.5 * (hits[1:] + hits[:-1]))  # others of one group, events of another
        pairs = (weight @ hits[-1]) * (weight @ others[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.einsum("rs,st,rt->r", weight, won, weight) / pairs, np.float64)

    def average_precision(self, weights: Floats | None = None) -> Floats:
        """Sum of precision over steps of recall: the area under the precision-recall curve; NaN without events."""
        weight = np.ones((1, self.groups)) if weights is None else weights
        hits, others = self._cumulated
        gains = np.flatnonzero(np.diff(hits.sum(axis=1)) > 0) + 1
        found, false = weight @ hits[gains].T, weight @ others[gains].T
        gained = np.diff(found, axis=1, prepend=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(gained > 0, found / (found + false), 0.0)
            return np.asarray((gained * precision).sum(axis=1) / (weight @ hits[-1]), np.float64)
