"""What an observer of call times alone would say, and whether that can be known (eq. 176)."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import CausalTree, Part
from marginquake.analysis.causes.hawkes import LEAST_EVENTS
from marginquake.analysis.statistics.estimate import interval

INDEX_LEADS = 0.5
"""Mean share of the moves from which on the outside price made most of them."""
FITS = 0.05
"""Smallest p of the time-rescaling test at which the process counts as fitting."""


def outsider(tree: CausalTree) -> list[str]:
    """The Hawkes estimate with its interval, its fit and what to think of it; then the Fano factors."""
    return [_hawkes(tree), *_fano(tree)]


def _hawkes(tree: CausalTree) -> str:
    hawkes, fit_p = tree.outsider.hawkes, tree.outsider.fit_p
    if hawkes.value != hawkes.value:
        return (
            f"There are too few calls for an estimate from their times alone: {tree.outsider.events}, and below "
            f"{LEAST_EVENTS} nothing can be told."
        )
    fits = "fits" if fit_p > FITS else "does not fit"
    chance = f"p = {fit_p:.2g}" if fit_p >= 0.001 else "p < 0.001"
    return (
        f"Somebody who sees only the times of calls would estimate {interval(hawkes)} (Hawkes process, which {fits}: "
        f"{chance}), {hawkes.value - tree.branching.value:+.2f} against the tree. {_verdict(tree)}"
    )


def _verdict(tree: CausalTree) -> str:
    """He is wrong, for a reason that is known, where the intervals are apart and the outside price made the moves."""
    hawkes, own = tree.outsider.hawkes, tree.branching
    if hawkes.low <= 0.0:
        return "His interval holds 0: whether calls cause each other, from times alone he cannot tell."
    if not (hawkes.low > own.high or hawkes.high < own.low):
        return "The intervals are not apart: from times alone he cannot tell."
    index = tree.calls.share(Part.INDEX)[tree.calls.moved]
    share = float(index.mean()) if len(index) else 0.0
    if hawkes.value > own.value and share >= INDEX_LEADS:
        return f"He takes what the outside price did ({formats.percent(share, 0)} of the moves) for contagion."
    return "The intervals are apart; why, he cannot tell."


def _fano(tree: CausalTree) -> list[str]:
    known = {window: factor for window, factor in tree.outsider.fano.items() if np.isfinite(factor)}
    if not known:
        return []
    factors = [f"{formats.short_number(factor)} over {window} s" for window, factor in known.items()]
    return [
        f"Fano factor of the calls, the variance over the mean of their number: {', '.join(factors)}; it is 1 where "
        "they come independently."
    ]
