"""Does pressure tell how far a fall will go?  (docs/model.md, eq. 224)"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.early_warning.trial import interval_of, resamples
from marginquake.analysis.frames.lookup import last_at
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.risk.pressure import pressure
from marginquake.analysis.statistics.estimate import Estimate, Unmeasurable
from marginquake.analysis.statistics.intervals import LEAST_VALUES
from marginquake.analysis.statistics.ranking import Ranking
from marginquake.sim.core.typing import Floats

DROP, WINDOW_S, MOVE = 0.01, 900.0, 0.01
LEAST_FALLS = 10


@final
@dataclass(frozen=True)
class PressureRank:
    """`auc`: chance that of two falls the one with the higher PI(1 %) goes on further than the median, over seeds."""

    auc: Estimate
    falls: int
    seeds: int
    median_further: float


def falls(market: MarketFrames) -> tuple[Floats, Floats]:
    """When the mark came to be 1 % below its high of 15 min, falls 15 min apart at least, and how far it fell further.

    The further fall is that from there to the lowest mark of the next 15 min, a log return; falls without 15 min ahead
    are left out.
    """
    series = market.run
    time_s, mark = series["time_s"], series["mark"]
    known = np.isfinite(mark)
    time_s, mark = time_s[known], mark[known]
    first = np.searchsorted(time_s, time_s - WINDOW_S - 1e-9, side="left")
    last = np.searchsorted(time_s, time_s + WINDOW_S + 1e-9, side="right")
    at: list[float] = []
    further: list[float] = []
    was_down = False
    for row in range(len(mark)):
        if time_s[row] + WINDOW_S > time_s[-1] + 1e-9:
            break
        is_down = bool(mark[row] <= (1.0 - DROP) * mark[first[row] : row + 1].max())
        if is_down and not was_down and (not at or time_s[row] >= at[-1] + WINDOW_S):
            at.append(float(time_s[row]))
            further.append(float(np.log(mark[row] / mark[row : last[row]].min())))
        was_down = is_down
    return np.array(at), np.array(further)


def pressure_rank(runs: Sequence[RunFrames], market: str) -> PressureRank:
    """Whether PI(1 %) at the beginning of falls ranks how far they went, over runs."""
    score, further, group = [], [], []
    for number, run in enumerate(runs):
        own = run.markets[market]
        at, fell = falls(own)
        pressed = pressure(own, MOVE, "fall")
        place = last_at(pressed.time_s, at)
        index = np.where(place >= 0, pressed.index[np.maximum(place, 0)], np.nan)
        chosen = ~np.isnan(index)
        score.append(index[chosen])
        further.append(fell[chosen])
        group.append(np.full(int(chosen.sum()), number))
    whole, seeds = np.concatenate(further), sum(len(each) > 0 for each in score)
    if len(whole) < LEAST_FALLS or seeds < LEAST_VALUES:
        raise Unmeasurable(
            f"{len(whole)} falls of {DROP:.0%} within {WINDOW_S / 60:g} min, with as long ahead, in {seeds} seeds: "
            f"to rank them takes {LEAST_FALLS} in {LEAST_VALUES}"
        )
    median = float(np.median(whole))
    ranking = Ranking(np.concatenate(score), whole > median, np.concatenate(group), len(runs))
    return PressureRank(interval_of(ranking.auc(resamples(len(runs))), seeds), len(whole), seeds, median)
