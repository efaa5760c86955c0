"""P(event) between scattered points: logistic regression on two axes."""

from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.load import Floats

RIDGE = 0.1
"""Penalty on squared coefficients of standardised terms: keeps the fit finite where the event separates perfectly."""
STEPS = 60


@final
@dataclass(frozen=True)
class LogisticSurface:
    """logit P = coefficients . (1, u, v, u^2, v^2, u v), with u and v the standardised coordinates."""

    coefficients: Floats
    centre: Floats
    spread: Floats

    def at(self, x: Floats, y: Floats) -> Floats:
        """P(event) at coordinates of any one shape."""
        design = _terms((x - self.centre[0]) / self.spread[0], (y - self.centre[1]) / self.spread[1])
        return np.asarray(_logistic(design @ self.coefficients), np.float64)


def fit_logistic(x: Floats, y: Floats, events: Floats, runs: Floats) -> LogisticSurface:
    """Penalised maximum likelihood by Newton's method; one entry a point: coordinates, runs with the event, runs."""
    centre = np.array([x.mean(), y.mean()])
    spread = np.array([x.std() or 1.0, y.std() or 1.0])
    design = _terms((x - centre[0]) / spread[0], (y - centre[1]) / spread[1])
    penalty = RIDGE * np.diag([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    # Half an event and half a non-event more for the intercept's start: finite where all runs agree.
    share = (events.sum() + 0.5) / (runs.sum() + 1.0)
    coefficients = np.array([np.log(share / (1 - share)), 0.0, 0.0, 0.0, 0.0, 0.0])
    for _ in range(STEPS):
        chance = _logistic(design @ coefficients)
        weight = runs * chance * (1 - chance)
        slope = design.T @ (events - runs * chance) - penalty @ coefficients
        curvature = (design.T * weight) @ design + penalty + 1e-9 * np.eye(6)
        step = np.linalg.solve(curvature, slope)
        # A full step from a flat start may overshoot; at most one unit of every coefficient keeps it on course.
        step /= max(1.0, float(np.abs(step).max()))
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-9:
            break
    return LogisticSurface(coefficients, centre, spread)


def _terms(u: Floats, v: Floats) -> Floats:
    return np.stack([np.ones_like(u), u, v, u * u, v * v, u * v], axis=-1)


def _logistic(value: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(value, -40.0, 40.0))), np.float64)
