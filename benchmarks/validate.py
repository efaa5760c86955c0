"""`make validate`: seeded studies in full; writes docs/validation.md.

Each claim of the README about what a scenario does is a row here: what was run, on which seeds, what came out.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scenarios"
OFF = "liquidation.enabled=false"

Summary = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run: scenario file, overrides, seed."""

    scenario: str
    overrides: tuple[str, ...]
    seed: int


def simulate(job: Job) -> Summary:
    """Run one job in this process; its summary."""
    from sim import api

    loaded = api.load_scenario(SCENARIOS / job.scenario, job.overrides)
    return dict(api.simulate(loaded, job.seed).summary)


def run_all(jobs: Sequence[Job], workers: int) -> dict[Job, Summary]:
    """Every job on `workers` processes; kernels are compiled once, before the fan-out."""
    simulate(Job(jobs[0].scenario, (*jobs[0].overrides, "duration=10s"), 0))
    if workers == 1:
        return {job: simulate(job) for job in jobs}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return dict(zip(jobs, pool.map(simulate, jobs), strict=True))


def interval(values: Sequence[float]) -> str:
    """Median [least, largest]."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def calm_table(runs: dict[Job, Summary], seeds: Sequence[int]) -> tuple[str, bool]:
    """calm_market: fewer than 1 % of accounts called, on every seed."""
    rows = [runs[Job("calm_market.yaml", (), seed)] for seed in seeds]
    lines = [
        "## calm_market: leverage at most 10, an ordinary hour",
        "",
        "| seed | accounts called, % | margin calls | spread, ticks | basis, bp | volatility, %/yr | largest fall, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for seed, s in zip(seeds, rows, strict=True):
        lines.append(
            f"| {seed} | {100 * s['accounts_called_fraction']:.2f} | {s['margin_calls']} "
            f"| {s['median_spread_ticks']:.0f} "
            f"| {s['median_basis_bps']:.2f} | {100 * s['annualised_volatility']:.0f} "
            f"| {100 * s['max_drawdown_fraction']:.2f} |"
        )
    worst = max(100 * s["accounts_called_fraction"] for s in rows)
    good = worst < 1.0
    lines += ["", f"Most accounts called on any seed: {worst:.2f} % (asked: fewer than 1 %): {verdict(good)}.", ""]
    return "\n".join(lines), good


def squeeze_table(runs: dict[Job, Summary], seeds: Sequence[int]) -> tuple[str, bool]:
    """long_squeeze against its twin without forced orders, seed by seed."""
    lines = [
        "## long_squeeze: crowded 20-100x longs, a moderate fall outside",
        "",
        "Twin: the same seed with the liquidation engine off; positions stay open, stops still fire.",
        "",
        "| seed | calls | forced / OI, % | fall, % | twin's fall, % | fundamental's fall, % | amplification "
        "| bad debt | fund, start to end | ADL |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    qualified, falls, fundamentals, amplifications = 0, [], [], []
    for seed in seeds:
        on = runs[Job("long_squeeze.yaml", (), seed)]
        off = runs[Job("long_squeeze.yaml", (OFF,), seed)]
        fall, twin = 100 * on["max_drawdown_fraction"], 100 * off["max_drawdown_fraction"]
        value = 100 * on["fundamental_drawdown_fraction"]
        forced = 100 * on["forced_fill_fraction_of_open_interest"]
        falls.append(fall)
        fundamentals.append(value)
        amplifications.append(fall / twin)
        met = on["margin_calls"] >= 100 and forced >= 5.0 and fall > twin
        qualified += met
        lines.append(
            f"| {seed} | {on['margin_calls']:,} | {forced:.1f} | {fall:.2f} | {twin:.2f} | {value:.2f} "
            f"| {fall / twin:.2f} "
            f"| {on['bad_debt'] / 1e3:,.0f}k | {on['insurance_fund_start'] / 1e6:.2f}M to "
            f"{on['insurance_fund_end'] / 1e6:.2f}M | {on['adl_notional'] / 1e6:.2f}M |"
        )
    half = max(fundamentals) <= 0.5 * statistics.median(falls)
    needed = round(0.7 * len(seeds))
    lines += [
        "",
        f"Seeds with 100 calls or more, forced fills of at least 5 % of open interest and a deeper fall than the twin: "
        f"{qualified} of {len(seeds)} (asked: {needed}): {verdict(qualified >= needed)}.",
        "",
        f"Fall of the market {interval(falls)} %, of the fundamental {interval(fundamentals)} %; largest fall of the "
        f"fundamental at most half of the market's median: {verdict(half)}.",
        "",
        f"Amplification (fall / twin's fall): {interval(amplifications)}.",
        "",
    ]
    return "\n".join(lines), qualified >= needed and half


def leverage_one_table(runs: dict[Job, Summary], seeds: Sequence[int]) -> tuple[str, bool]:
    """long_squeeze with leverage 1: nobody is liquidated."""
    rows = [runs[Job("long_squeeze.yaml", LEVERAGE_ONE, seed)] for seed in seeds]
    liquidations = sum(s["liquidations"] for s in rows)
    calls = sum(s["margin_calls"] for s in rows)
    fall = interval([100 * s["max_drawdown_fraction"] for s in rows])
    good = liquidations == 0
    text = (
        "## long_squeeze with leverage 1\n\n"
        f"`--set {LEVERAGE_ONE[0]} --set {LEVERAGE_ONE[1]}`: without leverage there is no fuel to state, so sizes are "
        f"not solved for it. Over {len(seeds)} seeds: {calls} margin calls, {liquidations} liquidations "
        f"(asked: none): {verdict(good)}. Fall {fall} %.\n"
    )
    return text, good


LEVERAGE_ONE = ("populations.longs.leverage=1", "fuel_ratio=null")


def crash_table(runs: dict[Job, Summary], seeds: Sequence[int]) -> str:
    """crash_2024_08_05 with forced orders on and off."""
    lines = [
        "## crash_2024_08_05: forced orders on and off, a real path as the fundamental",
        "",
        "| seed | fall on, % | fall off, % | path, % | calls | forced / OI, % | bad debt | ADL |",
        "|---|---|---|---|---|---|---|---|",
    ]
    added = []
    for seed in seeds:
        on = runs[Job("crash_2024_08_05.yaml", (), seed)]
        off = runs[Job("crash_2024_08_05.yaml", (OFF,), seed)]
        fall, twin = 100 * on["max_drawdown_fraction"], 100 * off["max_drawdown_fraction"]
        added.append(fall - twin)
        lines.append(
            f"| {seed} | {fall:.2f} | {twin:.2f} | {100 * on['fundamental_drawdown_fraction']:.2f} "
            f"| {on['margin_calls']:,} | {100 * on['forced_fill_fraction_of_open_interest']:.1f} "
            f"| {on['bad_debt'] / 1e3:,.0f}k | {on['adl_notional'] / 1e6:.2f}M |"
        )
    lines += ["", f"Forced orders added {interval(added)} points to the fall.", ""]
    return "\n".join(lines)


def verdict(good: bool) -> str:
    """Met or not, in words."""
    return "**met**" if good else "**not met**"


def study(seeds: Sequence[int], crash_seeds: Sequence[int], workers: int) -> tuple[str, bool]:
    """All tables, and whether every claim holds."""
    started = time.perf_counter()
    jobs = [Job("calm_market.yaml", (), seed) for seed in seeds]
    for overrides in ((), (OFF,), LEVERAGE_ONE):
        jobs += [Job("long_squeeze.yaml", overrides, seed) for seed in seeds]
    jobs += [Job("crash_2024_08_05.yaml", overrides, seed) for overrides in ((), (OFF,)) for seed in crash_seeds]
    runs = run_all(jobs, workers)
    calm, calm_good = calm_table(runs, seeds)
    squeeze, squeeze_good = squeeze_table(runs, seeds)
    unlevered, unlevered_good = leverage_one_table(runs, seeds)
    lambdas = runs[Job("long_squeeze.yaml", (), seeds[0])]
    head = (
        "# Validation\n\n"
        "Written by `make validate`; do not edit. Falls are of the last price, sampled each second, from its running "
        "peak; intervals are median [least, largest] over seeds.\n\n"
        f"{len(jobs)} runs, seeds {seeds[0]}-{seeds[-1]}, {time.perf_counter() - started:.0f} s on {workers} workers. "
        f"long_squeeze starts with fuel ratio {lambdas['fuel_ratio_within_5pct']:.2f} within 5 % "
        f"({lambdas['fuel_ratio_within_1pct']:.2f} within 1 %), D1 {lambdas['depth_1pct'] / 1e6:.1f}M, index feedback "
        f"1 % per {lambdas['index_feedback_depth_1pct'] / 1e6:.1f}M on spot.\n"
    )
    text = "\n".join([head, calm, squeeze, unlevered, crash_table(runs, crash_seeds)])
    return text, calm_good and squeeze_good and unlevered_good


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--crash-seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "validation.md")
    given = parser.parse_args()
    text, good = study(range(1, given.seeds + 1), range(1, given.crash_seeds + 1), given.workers)
    given.output.write_text(text)
    print(text)
    print(f"wrote {given.output}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
