"""Socialised loss: what the fund cannot bear is shared by all unrealised profits (docs/model.md, eq. 125)."""

import numpy as np
from numpy.typing import NDArray

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
