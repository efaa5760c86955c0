"""Everybody who has won gives the same share of the position."""

import numpy as np

from sim.adl_allocations.inputs import Candidates, Lots, shares


def pro_rata(quantity: int, candidates: Candidates) -> Lots:
    """In proportion to positions (eq. 123): over the winners, and what they cannot give over the rest.

    Chitra 2025 (arXiv 2512.01112): the one rule that is fair under his axioms; no venue's.  The ranking does not
    matter but for who gets the odd lot.
    """
    closed = np.zeros_like(candidates.lots)
    for group in (candidates.winners, ~candidates.winners):
        held = np.where(group, candidates.lots, 0)
        part = min(quantity, int(held.sum()))
        closed += shares(part, held)
        quantity -= part
    return closed
