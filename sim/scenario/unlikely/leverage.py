"""Leverage that the venue cuts: drawn or written above what it allows, at all or at the size of the position."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from marginquake.sim.core.account_book import AccountBook
from marginquake.sim.core.margin import leverage_capped
from marginquake.sim.core.numbers import short_number
from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.core.typing import Floats
from marginquake.sim.scenario.distributions import Distribution
from marginquake.sim.scenario.unlikely.look import MarketLook

DRAWS: Final = 400
"""Quantiles that shares are measured at: to a quarter of a percent."""
LEAST_SHARE: Final = 0.01
"""A share of accounts above which it is said that their size does not fit; the tail of any distribution is cut."""


def check(look: MarketLook) -> Iterator[ScenarioWarning]:
    """What is above the venue's maximum, else what is above it for positions as large as these."""
    brackets = leverage_capped(look.market.venue.brackets, look.market.venue.max_leverage)
    most = brackets[0].max_leverage
    for name, (kind, config) in look.populations.items():
        if isinstance(getattr(config, "accounts", None), AccountBook):
            continue  # the file says it, and its rows are held against the venue as they are read
        path = ("populations", name, "leverage")
        leverage = quantiles(config.leverage)
        cut = float(np.mean(leverage > most * (1 + 1e-9)))
        if cut > 0:
            message = f"{_share(cut)} want more than the venue's {most:g}, and are cut to it"
            yield look.warn("leverage_cut", path, message, _way_out(most))
            continue
        share, bracket = _cut_by_size(kind, config, look, brackets, leverage)
        if share >= LEAST_SHARE:
            cap = short_number(brackets[bracket].notional_cap)
            message = (
                f"{_share(share)} want positions too large for it: beyond a notional of {cap} the venue allows less; "
                "their positions are cut"
            )
            yield look.warn("leverage_cut", path, message, "lower leverage or deposit, or raise venue.brackets")


def quantiles(trait: Any) -> Floats:
    """Evenly spaced quantiles of a trait, or its one value."""
    middles = (np.arange(DRAWS) + 0.5) / DRAWS
    if isinstance(trait, Distribution):
        return np.asarray(trait.quantile(middles), np.float64)
    return np.full(DRAWS, float(trait))


def _cut_by_size(kind: Any, config: Any, look: MarketLook, brackets: Any, leverage: Floats) -> tuple[float, int]:
    """Share of accounts whose position exceeds the last bracket that allows their leverage, and that bracket."""
    wanted = getattr(kind, "notional_wanted", None)
    solved = look.market.fuel_ratio is not None or look.market.position_scale is not None
    if wanted is None or (solved and getattr(config, "scalable", False)):
        return 0.0, 0  # sizes are solved for: nobody knows them yet
    allowed = np.array([bracket.max_leverage for bracket in brackets])
    caps = np.array([bracket.notional_cap for bracket in brackets])
    last = np.searchsorted(-allowed, -leverage * (1 - 1e-9), side="right") - 1
    largest = caps[np.maximum(last, 0)][:, None]
    notional = wanted(config, quantiles(config.deposit)[None, :], leverage[:, None], look.market.depth_1pct)
    if notional is None:
        return 0.0, 0
    cut = np.asarray(notional) > largest * (1 + 1e-9)
    rows = np.flatnonzero(cut.any(axis=1))
    return float(cut.mean()), int(max(last[rows[-1]], 0)) if len(rows) else 0


def _share(share: float) -> str:
    return "all accounts" if share >= 1 else f"{max(share, 0.001) * 100:.2g} % of accounts"


def _way_out(most: float) -> str:
    return f"write at most {most:g}, or raise venue.max_leverage or venue.brackets"
