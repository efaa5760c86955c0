"""Logistic regression with a ridge, on columns standardised by the training data."""

from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.load import Bools, Floats

RIDGE = 1.0
"""Penalty on half the sum of squared weights of standardised columns; the intercept goes free."""


@final
@dataclass(frozen=True)
class Logit:
    """A fitted model: `weights` of standardised columns, and what standardises them."""

    intercept: float
    weights: Floats
    centre: Floats
    scale: Floats

    def probability(self, columns: Floats) -> Floats:
        """Probability of the event for every row; an unknown value counts as the training mean."""
        from scipy.special import expit

        return np.asarray(
            expit(self.intercept + _standardised(columns, self.centre, self.scale) @ self.weights), np.float64
        )


def fit(columns: Floats, event: Bools, ridge: float = RIDGE) -> Logit:
    """Maximum of the penalised likelihood (le Cessie and van Houwelingen 1992, R), by Newton steps in a trust region.

    A column that never changes, or is never known, gets weight 0.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    known = np.isfinite(columns)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, columns, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, columns - centre, 0.0) ** 2).sum(axis=0) / count)
    scale = np.where(deviation > 1e-12 * np.maximum(np.abs(centre), 1e-300), deviation, np.inf)
    whole = np.column_stack((np.ones(len(event)), _standardised(columns, centre, scale)))
    penalty = ridge * np.diag(np.concatenate(([0.0], np.ones(columns.shape[1]))))
    y = event.astype(np.float64)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = whole @ parameters
        value = float((np.logaddexp(0.0, z) - y * z).sum() + 0.5 * parameters @ penalty @ parameters)
        return value, np.asarray(whole.T @ (expit(z) - y) + penalty @ parameters, np.float64)

    def curvature(parameters: Floats) -> Floats:
        chance = expit(whole @ parameters)
        # Without BLAS, whose threads cost more than these few columns on a machine that is busy.
        return np.asarray(np.einsum("ij,ik,i->jk", whole, whole, chance * (1.0 - chance)) + penalty, np.float64)

    share = min(max(float(y.mean()), 1e-6), 1.0 - 1e-6)
    start = np.concatenate(([np.log(share / (1.0 - share))], np.zeros(columns.shape[1])))
    found = minimize(loss, start, jac=True, hess=curvature, method="trust-exact")
    return Logit(float(found.x[0]), np.asarray(found.x[1:], np.float64), centre, scale)


def _standardised(columns: Floats, centre: Floats, scale: Floats) -> Floats:
    return np.where(np.isfinite(columns), (columns - centre) / scale, 0.0)
