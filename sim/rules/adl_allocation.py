"""How a loss is divided: ADL allocations (`venue.adl.allocation`; eq. 18, 123, 124) and the socialised loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.typing import Floats
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock

Lots = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Candidates:
    """Opposite accounts in the order of their rank, best first: lots that each still holds (>= 0), its score, and
    whether it has an unrealised profit."""

    lots: Lots
    scores: Floats
    winners: NDArray[np.bool_]


class AllocationConfig(RuleBlock):
    """An allocation's name; `allocation: {rule: my_lab.adl:Mine, ...}` gives one of your own its parameters."""

    rule: str = "queue"


class Allocation(Rule, ABC):
    """Says how much of what must be closed falls to each candidate."""

    config_type: ClassVar[type[AllocationConfig]] = AllocationConfig
    from_the_top: ClassVar[bool] = False
    """Only the best candidates matter, as many as hold the quantity."""

    def __init__(self, config: AllocationConfig) -> None:
        self.config = config

    @abstractmethod
    def divide(self, quantity: int, candidates: Candidates) -> Lots:
        """Lots closed at each candidate, between 0 and what it holds, summing to the quantity, or to all there is."""


def shares(quantity: int, lots: Lots) -> Lots:
    """`quantity` <= sum of `lots` in proportion to `lots`, whole lots: floors of the running sum, so that every
    prefix is within one lot of its exact share."""
    total = int(lots.sum())
    if total == 0:
        return np.zeros_like(lots)
    up_to: Lots = (np.cumsum(lots).astype(object) * quantity // total).astype(np.int64)
    own = up_to.copy()
    own[1:] -= up_to[:-1]
    return own


def greedy(quantity: int, lots: Lots) -> Lots:
    """The first ones whole, until the quantity is met."""
    before = np.cumsum(lots) - lots
    own: Lots = np.clip(quantity - before, 0, lots)
    return own


@final
class ProRata(Allocation):
    """In proportion to positions (eq. 123): over the winners, and what they cannot give over the rest.

    Chitra 2025 (arXiv 2512.01112): the one rule that is fair under his axioms; no venue's.  The ranking does not
    matter but for who gets the odd lot.
    """

    def divide(self, quantity: int, candidates: Candidates) -> Lots:
        """Lots closed at each candidate."""
        closed = np.zeros_like(candidates.lots)
        for group in (candidates.winners, ~candidates.winners):
            held = np.where(group, candidates.lots, 0)
            part = min(quantity, int(held.sum()))
            closed += shares(part, held)
            quantity -= part
        return closed


@final
class Queue(Allocation):
    """Down the ranking until the quantity is met (eq. 18): Binance, BitMEX, Bybit, Hyperliquid, dYdX (grade A)."""

    from_the_top = True

    def divide(self, quantity: int, candidates: Candidates) -> Lots:
        """Lots closed at each candidate."""
        return greedy(quantity, candidates.lots)


@final
class WaterFilling(Allocation):
    """Close of each what brings its score down to the common level L (eq. 124); the level follows from the quantity.

    A score is taken as proportional to what is left of the position (leverage and profit are), so a candidate with
    score s > L keeps the share L / s of its lots.  Scores that are not positive close last, in their order.  After
    Chitra 2025 (arXiv 2512.01112), who levels leverage: `ranking: leverage`.  Whole lots: within one lot each.
    """

    def divide(self, quantity: int, candidates: Candidates) -> Lots:
        """Lots closed at each candidate."""
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


Money = NDArray[np.int64]


def haircuts(shortfall: int, profits: Money) -> Money:
    """What each winner gives: `shortfall` in proportion to `profits` (> 0), whole units, at most the profit itself.

    The sum is `shortfall`, or all profits where they are less.  Deribit shares the rest of a loss in proportion to
    profits *realised in the session* (grade A); we have no sessions and take the unrealised profit of the moment.
    """
    total = int(profits.sum())
    if shortfall >= total:
        return profits.copy()
    up_to: Money = (np.cumsum(profits).astype(object) * max(0, shortfall) // max(total, 1)).astype(np.int64)
    given = up_to.copy()
    given[1:] -= up_to[:-1]
    return given


ADL_ALLOCATIONS: Final[Registry[type[Allocation]]] = Registry(
    "allocation",
    Allocation,
    {"queue": Queue, "pro_rata": ProRata, "water_filling": WaterFilling},
    default="queue",
    may_be_a_name=True,
)
"""By the name in `venue.adl.allocation`."""
