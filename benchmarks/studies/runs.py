"""Runs of a study: named by scenario, overrides and seed, spread over processes, kept as small dictionaries."""

import gc
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"
OFF = "liquidation.enabled=false"

Kept = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run, and which of `MEASURES` is kept of it."""

    scenario: str
    overrides: tuple[str, ...]
    seed: int
    keep: str = "summary"


@dataclass(frozen=True)
class Scale:
    """How much is run: all seeds by `make validate`, a few by the tests."""

    seeds: tuple[int, ...]
    few_seeds: tuple[int, ...]
    """For studies of long runs or of many cells."""


@dataclass(frozen=True)
class Section:
    """What a study says: markdown below its own heading, whether every claim is met, and figures for docs/images."""

    text: str
    good: bool
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """`jobs` says what has to be run, `more` what follows from the outcome of that; `report` says what came out."""

    title: str
    jobs: Callable[[Scale], list[Job]]
    report: Callable[[Mapping[Job, Kept], Scale], Section]
    more: Callable[[Mapping[Job, Kept], Scale], list[Job]] | None = None


def run_study(study: Study, scale: Scale, workers: int) -> dict[Job, Kept]:
    """Both stages of a study."""
    runs = run_all(study.jobs(scale), workers)
    if study.more is not None:
        runs |= run_all(study.more(runs, scale), workers)
    return runs


def keep_summary(data: Any, loaded: Any) -> Kept:
    """The flat summary of the run."""
    return dict(data.summary)


def keep_facts(data: Any, loaded: Any) -> Kept:
    """Summary, and the run's measurements for the scoreboard."""
    from marginquake.analysis.facts import measure
    from marginquake.analysis.frames.run_frames import frames_of

    return {**data.summary, "facts": measure(frames_of(data, loaded))}


def keep_populations(data: Any, loaded: Any) -> Kept:
    """Summary, accounts and the series of every population and of the market."""
    return {
        **data.summary,
        "populations": dict(data.populations),
        "series": dict(data.series),
        "accounts": dict(data.accounts),
    }


def keep_fuel(data: Any, loaded: Any) -> Kept:
    """Summary, and where the longs of the start would be liquidated: distance below the first mark, and lots."""
    accounts = data.accounts
    position = np.asarray(accounts["position_start"], float)
    level = np.asarray(accounts["liquidation_price_start"], float)
    longs = (position > 0) & (level > 0)
    start = loaded.markets[0].contract.initial_price
    time_s, mark = np.asarray(data.series["time_s"]), np.asarray(data.series["mark"])
    live = mark[time_s >= 0]
    first = float(live[0]) if len(live) and np.isfinite(live[0]) else start
    return {**data.summary, "fuel_distance": 1.0 - level[longs] / first, "fuel_lots": position[longs]}


def keep_fall(data: Any, loaded: Any) -> Kept:
    """Summary, and the fall from the start by which twins are compared (eq. 181)."""
    return {**data.summary, "fall": data.summary["fall_from_start_fraction"]}


def keep_feedback(data: Any, loaded: Any) -> Kept:
    """Summary, fall, and R before the largest event beside what it was and what an outsider would have said of it."""
    from marginquake.analysis.causes import causal_tree
    from marginquake.analysis.frames.run_frames import frames_of
    from marginquake.analysis.levels.feedback import largest_event

    summary = keep_fall(data, loaded)
    market = frames_of(data, loaded).first
    tree = causal_tree(market)
    event = largest_event(market, tree)
    if event is None:
        return {**summary, "feedback": {"calls": 0}}
    outsider = tree.outsider
    found: dict[str, float] = {
        "start_s": event.start_s, "calls": event.calls, "side": event.side,
        "r_at_price": event.before.at_price, "r_largest": event.before.largest, "r_mean": event.before.mean,
        "branching": event.branching.value,
        "branching_low": event.branching.low, "branching_high": event.branching.high,
        "hawkes": outsider.hawkes.value, "hawkes_low": outsider.hawkes.low, "hawkes_high": outsider.hawkes.high,
        "hawkes_fit_p": outsider.fit_p, "hawkes_decay_s": outsider.decay_s,
        **{f"fano_{window}": value for window, value in outsider.fano.items()},
    }  # fmt: skip
    plain = {key: float(value) if np.isfinite(value) else None for key, value in found.items()}
    return {**summary, "feedback": plain}


def keep_maps(data: Any, loaded: Any) -> Kept:
    """Summary, how concentrated the map of the start was, the outsider's error over time, forecast against realised."""
    from marginquake.analysis.causes import causal_tree
    from marginquake.analysis.frames.run_frames import frames_of
    from marginquake.analysis.levels import find_clusters, map_forecasts, outsider_errors, true_map

    market = frames_of(data, loaded).first
    truth = true_map(market)
    cascades = causal_tree(market).cascades
    errors = {
        knows: [dict(vars(each)) for each in outsider_errors(market, knows, most=25)] for knows in ("prints", "entries")
    }
    seen = map_forecasts(market, most=1)
    return {
        **data.summary,
        "hhi": truth.concentration(1).hhi,
        "gini": truth.concentration(1).gini,
        "largest_share": max((each.share for each in find_clusters(truth, side=1)), default=0.0),
        "cascade_notional": cascades[0].notional if cascades else 0.0,
        "cascade_calls": len(cascades[0].calls) if cascades else 0,
        "errors": errors,
        "forecast": {
            name: sum(each.total(name) for each in seen)
            for name in (
                "due",
                "sold",
                "taken_over",
                "deleveraged",
                "stopped",
                "closed",
                "margin_added",
                "waiting",
                "other",
            )
        }
        | {name: sum(getattr(each, name) for each in seen) for name in ("realised", "called_before", "unforeseen")},
    }


MEASURES: Mapping[str, Callable[[Any, Any], Kept]] = {
    "summary": keep_summary,
    "facts": keep_facts,
    "populations": keep_populations,
    "fuel": keep_fuel,
    "fall": keep_fall,
    "feedback": keep_feedback,
    "maps": keep_maps,
}


def simulate(job: Job) -> Kept:
    """Run one job in this process; what it keeps."""
    from marginquake.sim.studies import run as running

    loaded = running.load_scenario(SCENARIOS / job.scenario, job.overrides)
    kept = MEASURES[job.keep](running.simulate(loaded, job.seed), loaded)
    gc.collect()
    return kept


def run_all(jobs: Iterable[Job], workers: int) -> dict[Job, Kept]:
    """Every distinct job on `workers` processes; kernels are compiled once, before the fan-out."""
    wanted = list(dict.fromkeys(jobs))
    if workers == 1:
        return {job: simulate(job) for job in wanted}
    simulate(Job(wanted[0].scenario, (*wanted[0].overrides, "duration=10s"), 0))
    started, found = time.perf_counter(), {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for job, kept in zip(wanted, pool.map(simulate, wanted), strict=True):
            found[job] = kept
            if len(found) % 10 == 0 or len(found) == len(wanted):
                print(f"{len(found)} of {len(wanted)} runs, {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return found
