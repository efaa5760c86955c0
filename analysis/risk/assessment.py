"""The risk numbers of several runs together: who was likely to be called, who was, and how good the forecasts were."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from marginquake.analysis import formats
from marginquake.analysis.frames.market import Columns
from marginquake.analysis.frames.pairing import pair_with_twins
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.risk.call_forecasts import (
    CallForecast,
    ForecastPlan,
    call_forecasts,
    missed_marks,
    of_one_kind,
)
from marginquake.analysis.risk.excess import Excess, excess
from marginquake.analysis.statistics.estimate import Estimate, Unmeasurable
from marginquake.analysis.statistics.intervals import LEAST_VALUES
from marginquake.analysis.statistics.reliability import Bin, Brier, brier, diagram, table_of, with_interval
from marginquake.sim.core.outside.edges import csv_text
from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True)
class Group:
    """All forecasts with one volatility and horizon: their calls, their diagram, their Brier score over seeds."""

    source: str
    horizon_s: float
    volatility: float
    """Mean over runs, per year."""
    excess: Excess
    bins: tuple[Bin, ...]
    twin_bins: tuple[Bin, ...]
    """The same forecasts against triggers that the mark of the twin reached; empty unless every run has a twin."""
    brier: Brier
    score: Estimate


@final
@dataclass(frozen=True)
class Assessment:
    """What `assess` found; `left_out` names runs that could not answer, with the reason."""

    market: str
    groups: tuple[Group, ...]
    made: tuple[CallForecast, ...]
    twins: int
    left_out: tuple[str, ...]
    missed_marks: str
    """What the record does not show of the mark, and what follows; empty where it shows all."""
    ids: Mapping[int, str] = field(default_factory=dict)
    """What a user's file calls accounts, by row; the same in every run."""


def assess(runs: Sequence[RunFrames], asked: ForecastPlan, market: str | None = None) -> Assessment:
    """Forecasts of every run held against what came, put together over seeds.

    `runs` are of one scenario, a seed each; those with `liquidation.enabled: false` are the twins of the others, or the
    runs themselves if there are no others.  Raises RunDirectoryError for a mixture, Unmeasurable if no run can answer.
    """
    pairs = pair_with_twins(runs)
    name = market or next(iter(runs[0].markets))
    made: list[CallForecast] = []
    left_out = []
    for run, twin in pairs:
        try:
            made += call_forecasts(run, run.markets[name], twin.markets[name] if twin else None, asked)
        except Unmeasurable as why:
            left_out.append(f"{run.path.name}: {why}")
    if not made:
        raise Unmeasurable(left_out[0])
    groups = tuple(_group(*key, each) for key, each in of_one_kind(made).items())
    records = [(run.markets[name], False) for run, _ in pairs]
    records += [(twin.markets[name], True) for _, twin in pairs if twin is not None]
    missed = next(filter(None, (missed_marks(*each) for each in records)), "")
    with_twins = sum(twin is not None for _, twin in pairs)
    ids = pairs[0][0].markets[name].account_ids
    return Assessment(name, groups, tuple(made), with_twins, tuple(left_out), missed, ids)


def _group(source: str, horizon_s: float, made: Sequence[CallForecast]) -> Group:
    by_seed: dict[str, Floats] = {}
    twins: dict[str, Floats] = {}
    for each in made:
        by_seed[each.seed] = by_seed.get(each.seed, 0.0) + table_of(each.probability, each.called)
        if each.twin_crossed is not None:
            twins[each.seed] = twins.get(each.seed, 0.0) + table_of(each.probability, each.twin_crossed)
    whole = list(by_seed.values())
    return Group(
        source=source,
        horizon_s=horizon_s,
        volatility=math.fsum(each.volatility for each in made) / len(made),
        excess=excess(made),
        bins=tuple(diagram(whole)),
        twin_bins=tuple(diagram(list(twins.values()))) if len(twins) == len(whole) else (),
        brier=brier(sum(whole[1:], start=whole[0])),
        score=with_interval(whole, lambda table: brier(table).score),
    )


CALL_HEADINGS = (
    "within", "volatility", "per year", "accounts", "forecast", "called", "excess", "price", "in errors",
    "feedback", "conduct",
)  # fmt: skip
SCORE_HEADINGS = (
    "within", "volatility", "Brier score", "reliability", "resolution", "uncertainty", "within bins", "skill",
)  # fmt: skip
BIN_HEADINGS = ("within", "volatility", "forecast between", "accounts", "forecast", "called")


def call_cells(group: Group) -> tuple[str, ...]:
    """One line of the table of calls."""
    found = group.excess
    moved = (found.price, found.feedback) if not math.isnan(found.price.value) else (found.moved, None)
    return (
        *_key(group),
        f"{group.volatility:.1%}",
        f"{found.accounts:,}",
        f"{found.forecast.value:.2%}",
        shown(found.called),
        shown(found.excess, signed=True),
        shown(moved[0], signed=True),
        "" if moved[1] is None else in_errors(found),
        shown(moved[1], signed=True) if moved[1] is not None else "in price",
        shown(found.conduct, signed=True),
    )


def score_cells(group: Group) -> tuple[str, ...]:
    """One line of the table of scores."""
    parts = group.brier
    return (
        *_key(group),
        shown(group.score, digits=4, percent=False),
        f"{parts.reliability:.4f}",
        f"{parts.resolution:.4f}",
        f"{parts.uncertainty:.4f}",
        f"{parts.within:+.4f}",
        "n.a." if math.isnan(parts.skill) else f"{parts.skill:+.3f}",
    )


def bin_cells(group: Group) -> list[tuple[str, ...]]:
    """A line a bin of the reliability diagram."""
    return [
        (*_key(group), f"{b.low:g} to {b.high:g}", f"{b.accounts:,}", f"{b.forecast:.2%}", shown(b.observed))
        for b in group.bins
    ]


def remarks(found: Assessment) -> list[str]:
    """What a reader must know about the tables, in words."""
    lines = [f"left out: {each}" for each in found.left_out]
    lines.append(
        f"Accounts are those with a position in {found.market} that some price would liquidate, and not called before "
        "the forecast: shares are of them, not of all accounts as in `show`."
    )
    lines += _uncalled(found)
    seeds = len({each.seed for each in found.made})
    if seeds < LEAST_VALUES:
        lines.append(f"{formats.plural(seeds, 'seed')}: intervals are over seeds and need {LEAST_VALUES}.")
    if found.twins == 0:
        lines.append(
            "Without twins (the same seeds with liquidation.enabled=false) price and feedback are one; `marginquake "
            "counterfactual RUN --without liquidation` makes a run's twin, and `risk` finds it then."
        )
    elif found.twins < seeds:
        lines.append(f"{found.twins} of {seeds} seeds have a twin: price and feedback need one for each.")
    if found.missed_marks:
        lines.append(found.missed_marks)
    return lines


def _uncalled(found: Assessment) -> list[str]:
    """A sentence a horizon within which nobody was called: zeros that judge no forecast."""
    lines = []
    first_s = min((each.first_call_s for each in found.made if not math.isnan(each.first_call_s)), default=math.nan)
    for horizon_s in dict.fromkeys(each.horizon_s for each in found.made):
        if any(each.called.any() for each in found.made if each.horizon_s == horizon_s):
            continue
        then = (
            "nobody was called later either"
            if math.isnan(first_s)
            else f"the first call came at {formats.clock(first_s)}"
        )
        lines.append(f"Nobody was called within {formats.duration(horizon_s)}, so nothing is judged there; {then}.")
    return lines


def in_errors(found: Excess) -> str:
    """The price part over its standard error under the closed form."""
    if not found.error > 0:
        return "n.a."
    errors = found.price.value / found.error
    return f"{errors:+.1f}" if abs(errors) < 100 else f"beyond {math.copysign(100, errors):+.0f}"


def shown(value: Estimate, signed: bool = False, digits: int = 2, percent: bool = True) -> str:
    """An estimate with its interval, where it has one."""
    scale, unit = (100.0, " %") if percent else (1.0, "")
    sign = "+" if signed else ""
    if math.isnan(value.value):
        return "n.a."
    middle, low, high = (f"{round(each * scale, digits) + 0.0:{sign}.{digits}f}" for each in value)
    return f"{middle}{unit}" if math.isnan(value.low) else f"{middle}{unit} ({low} to {high})"


def _key(group: Group) -> tuple[str, str]:
    return formats.duration(group.horizon_s), group.source


def to_csv(assessment: Assessment) -> str:
    """A line a volatility and horizon: fractions, seconds, per year."""
    parts = ("forecast", "called", "excess", "moved", "price", "feedback", "conduct", "twin_called")
    heads = ["source", "horizon_s", "volatility", "accounts", "seeds"]
    heads += [f"{part}{end}" for part in parts for end in ("", "_low", "_high")]
    heads += [
        "price_error",
        "brier",
        "brier_low",
        "brier_high",
        "reliability",
        "resolution",
        "uncertainty",
        "within_bins",
        "skill",
    ]
    lines = [",".join(heads)]
    for group in assessment.groups:
        found, score = group.excess, group.brier
        values: list[float] = [group.horizon_s, group.volatility, found.accounts, found.seeds]
        for part in parts:
            values += getattr(found, part)
        values += [
            found.error,
            *group.score,
            score.reliability,
            score.resolution,
            score.uncertainty,
            score.within,
            score.skill,
        ]
        lines.append(",".join((group.source, *(_number(value) for value in values))))
    return "\n".join(lines) + "\n"


def accounts_csv(assessment: Assessment) -> str:
    """A line an account, moment, volatility and horizon: its forecast, and what happened to it.

    The id that a user's file gives an account stands at the end, in runs with such a file.
    """
    ids = assessment.ids
    lines = ["seed,account,at_s,source,horizon_s,side,notional,mark,trigger,probability,called,crossed,twin_crossed"]
    lines[0] += ",id" if ids else ""
    for made in assessment.made:
        standing = made.standing
        twin = made.twin_crossed if made.twin_crossed is not None else [None] * len(made)
        head = f"{made.seed},{{}},{made.at_s:g},{made.source},{made.horizon_s:g},"
        lines += [
            head.format(account)
            + f"{side},{notional:.8g},{standing.mark:.10g},{trigger:.10g},{p:.6g},{int(called)},{int(crossed)},"
            + ("" if twin_crossed is None else str(int(twin_crossed)))
            + (f",{csv_text([[ids.get(account, '')]])[:-1]}" if ids else "")
            for account, side, notional, trigger, p, called, crossed, twin_crossed in zip(
                standing.account, standing.side, standing.notional, standing.trigger, made.probability, made.called,
                made.crossed, twin, strict=True,
            )
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def table_csv(table: Columns) -> str:
    """Columns as CSV."""
    rows = zip(*table.values(), strict=True)
    return "\n".join([",".join(table), *(",".join(_number(float(v)) for v in row) for row in rows)]) + "\n"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8g}"
