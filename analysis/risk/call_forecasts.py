"""Forecasts of margin calls held against what came: one run, one moment, one horizon (docs/model.md, eq. 211-213)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.risk.standing import Standing, known_mark, standing_at
from marginquake.analysis.risk.volatility import Source, volatility
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.barriers import first_passage_probability, monitoring_shift
from marginquake.sim.core.records import Side
from marginquake.sim.core.typing import Bools, Floats, Ints

EDGE_S = 1e-6


@final
@dataclass(frozen=True)
class CallForecast:
    """Every account of one run at `at_s`: how likely a call within `horizon_s` was, and what happened.

    `volatility` per year, from `source`.  `called`: a margin call came.  `crossed`: the mark reached the trigger that
    the account had at `at_s`.  `twin_crossed`: so did the mark of the twin without forced sales, and `twin_called` says
    whether it was called there; None where there is no twin, or where it kept no calls.  `first_call_s`: when the first
    of these accounts was called after `at_s`, at any horizon; NaN where none was.
    """

    seed: str
    source: Source | str
    volatility: float
    at_s: float
    horizon_s: float
    standing: Standing
    probability: Floats
    called: Bools
    crossed: Bools
    twin_crossed: Bools | None
    twin_called: Bools | None
    first_call_s: float = math.nan

    def __len__(self) -> int:
        return len(self.probability)


@final
@dataclass(frozen=True)
class ForecastPlan:
    """What is forecast: `horizons_s` from each of `at_s`, with the volatility of each source, or a number per year.

    `window_s`: how far back a trailing volatility looks; infinite: as far as the record goes.
    """

    horizons_s: tuple[float, ...]
    sources: tuple[Source | float, ...] = ("trailing", "fundamental")
    at_s: tuple[float, ...] = (0.0,)
    window_s: float = math.inf
    population: str | None = None


def call_forecasts(
    run: RunFrames, market: MarketFrames, twin: MarketFrames | None, asked: ForecastPlan
) -> list[CallForecast]:
    """All forecasts of one market of one run, sources outermost, then horizons, then moments.

    Raises `Unmeasurable` where the record is too short or does not hold the run's own calls.  A twin serves by its
    series alone: `counterfactual` makes twins that keep no events.
    """
    if missing := market.not_recorded("liquidations"):
        raise Unmeasurable(f"margin calls: {missing}")
    last_s = float(market.series["time_s"][-1])
    if twin is not None:
        last_s = min(last_s, float(twin.series["time_s"][-1]))
    for at_s in asked.at_s:
        for horizon_s in asked.horizons_s:
            if at_s + horizon_s > last_s + EDGE_S:
                raise Unmeasurable(f"horizon {horizon_s:g} s from {at_s:g} s: the run ends at {last_s:g} s")
    period_s = market.mark_period_s
    states = [standing_at(market, at_s, asked.population) for at_s in asked.at_s]
    if not any(len(standing.account) for standing in states):
        whom = "nobody" if asked.population is None else f"nobody of {asked.population}"
        raise Unmeasurable(f"{whom} can be called: no account with a position that some price would liquidate")
    outcomes = {
        (at_s, horizon_s): _outcomes(market, twin, standing, horizon_s)
        for at_s, standing in zip(asked.at_s, states, strict=True)
        for horizon_s in asked.horizons_s
    }
    first_call = {standing.time_s: _first_call(market, standing) for standing in states}
    made = []
    for source in asked.sources:
        for horizon_s in asked.horizons_s:
            for at_s, standing in zip(asked.at_s, states, strict=True):
                annual = (
                    source
                    if isinstance(source, float)
                    else volatility(market.series, source, at_s, horizon_s, asked.window_s)
                )
                chances = call_probabilities(standing, annual, horizon_s, period_s)
                name = f"{100.0 * source:.3g}%" if isinstance(source, float) else source
                found = (*outcomes[at_s, horizon_s], first_call[standing.time_s])
                made.append(CallForecast(run.seed, name, annual, at_s, horizon_s, standing, chances, *found))
    return made


def _outcomes(
    market: MarketFrames, twin: MarketFrames | None, standing: Standing, horizon_s: float
) -> tuple[Bools, Bools, Bools | None, Bools | None]:
    span = standing.time_s, standing.time_s + horizon_s
    called, crossed = was_called(market, standing.account, *span), was_crossed(market, standing, *span)
    if twin is None:
        return called, crossed, None, None
    try:
        twin_crossed = was_crossed(twin, standing, *span)
    except Unmeasurable as why:
        raise Unmeasurable(f"its twin without forced sales: {why}") from None
    kept = not twin.not_recorded("liquidations")
    return called, crossed, twin_crossed, was_called(twin, standing.account, *span) if kept else None


def _first_call(market: MarketFrames, standing: Standing) -> float:
    """When the first of these accounts was called, NaN if none was."""
    calls = market.margin_calls
    later = (calls.time_s > standing.time_s + EDGE_S) & np.isin(calls.account, standing.account)
    return float(calls.time_s[later].min()) if later.any() else math.nan


def was_called(market: MarketFrames, account: Ints, after_s: float, until_s: float) -> Bools:
    """True for accounts with a margin call in (after_s, until_s]."""
    calls = market.margin_calls
    inside = (calls.time_s > after_s + EDGE_S) & (calls.time_s <= until_s + EDGE_S)
    return np.isin(account, calls.account[inside])


def was_crossed(market: MarketFrames, standing: Standing, after_s: float, until_s: float) -> Bools:
    """True where the mark, as far as `marks_between` knows it, reached a trigger in (after_s, until_s].

    In another run than that of `standing` the trigger is as far from the mark of `after_s` as it was there.
    """
    inside = marks_between(market, after_s, until_s)
    if len(inside) == 0:
        raise Unmeasurable(f"the series has no mark between {after_s:g} s and {until_s:g} s")
    move = standing.mark / known_mark(market, after_s)
    low, high = float(inside.min()) * move, float(inside.max()) * move
    return np.asarray(np.where(standing.side > 0, low <= standing.trigger, high >= standing.trigger), np.bool_)


def marks_between(market: MarketFrames, after_s: float, until_s: float) -> Floats:
    """Every mark in (after_s, until_s] that the record holds: by the series, and by fills and margin calls between."""

    def inside(time_s: Floats) -> Bools:
        return np.asarray((time_s > after_s + EDGE_S) & (time_s <= until_s + EDGE_S), np.bool_)

    series, events = market.series, market.events
    sampled = series["mark"][inside(series["time_s"]) & np.isfinite(series["mark"])]
    carried = events["mark_ticks"][inside(events["time_s"]) & (events["mark_ticks"] > 0)]
    return np.concatenate((sampled, carried * market.contract.to_price(1.0)))


def missed_marks(market: MarketFrames, is_twin: bool = False) -> str:
    """Says that the record does not hold every mark, and what that does to the excess; empty if it does."""
    times = market.run["time_s"]
    every_s = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if every_s <= market.mark_period_s + EDGE_S or not market.not_recorded("fills"):
        return ""
    seen, there = (f"{each:g} s" for each in (every_s, market.mark_period_s))
    if is_twin:
        return (
            f"A twin's record has the mark every {seen}, the venue every {there}: triggers that it touched in between "
            "are missing from price, and feedback is too large by as much. Run with "
            f"record.series_every={there.replace(' ', '')} and make the twins of that run."
        )
    return (
        f"The record has the mark every {seen} and at margin calls, the venue every {there}: triggers touched in "
        "between by accounts that were not called are missing from price and feedback, and conduct is too large by as "
        f"much. Run with record.series_every={there.replace(' ', '')}, or record.events: fills."
    )


def of_one_kind(made: Sequence[CallForecast]) -> dict[tuple[str, float], list[CallForecast]]:
    """Forecasts by source and horizon, in the order in which these first occur."""
    groups: dict[tuple[str, float], list[CallForecast]] = {}
    for each in made:
        groups.setdefault((each.source, each.horizon_s), []).append(each)
    return groups


def call_probabilities(
    standing: Standing, annual_volatility: float, horizon_s: float, period_s: float = 0.0, annual_drift: float = 0.0
) -> Floats:
    """Probability of a margin call within `horizon_s` for every account of `standing`.

    The mark is taken for a geometric Brownian motion that nobody's orders move, looked at every `period_s` (0: watched
    all the time); the account keeps its position and its margin.
    """
    shift = monitoring_shift(annual_volatility, period_s) if period_s > 0 else 0.0
    away = standing.log_distance
    # Equal distances (a grid of entries, a few leverages) are worked out once.
    keys, place = np.unique(np.stack((standing.side.astype(np.float64), away)), axis=1, return_inverse=True)
    found = np.fromiter(
        (
            first_passage_probability(
                Side.BUY if side > 0 else Side.SELL,
                b + shift if b > 0 else b,
                annual_volatility,
                horizon_s,
                annual_drift,
            )
            for side, b in keys.T.tolist()
        ),
        np.float64,
        keys.shape[1],
    )
    return found[place.ravel()]
