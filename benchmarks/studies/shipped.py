"""The scenarios of the first day: calm_market, long_squeeze with its twins, the crash of August 2024."""

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.studies.runs import OFF, Job, Kept, Scale, Section, Study
from benchmarks.studies.tables import interval, verdict

LEVERAGE_ONE = ("populations.longs.leverage=1", "fuel_ratio=null")


def calm_jobs(scale: Scale) -> list[Job]:
    """calm_market on every seed."""
    return [Job("calm_market.yaml", (), seed) for seed in scale.seeds]


def calm_table(runs: Mapping[Job, Kept], seeds: Sequence[int]) -> tuple[str, bool]:
    """calm_market: fewer than 1 % of accounts called, on every seed."""
    rows = [runs[Job("calm_market.yaml", (), seed)] for seed in seeds]
    lines = [
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


def squeeze_table(runs: Mapping[Job, Kept], seeds: Sequence[int]) -> tuple[str, bool]:
    """long_squeeze against its twin without forced orders, seed by seed."""
    lines = [
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


def leverage_one_table(runs: Mapping[Job, Kept], seeds: Sequence[int]) -> tuple[str, bool]:
    """long_squeeze with leverage 1: nobody is liquidated."""
    rows = [runs[Job("long_squeeze.yaml", LEVERAGE_ONE, seed)] for seed in seeds]
    liquidations = sum(s["liquidations"] for s in rows)
    calls = sum(s["margin_calls"] for s in rows)
    fall = interval([100 * s["max_drawdown_fraction"] for s in rows])
    good = liquidations == 0
    text = (
        f"`--set {LEVERAGE_ONE[0]} --set {LEVERAGE_ONE[1]}`: without leverage there is no fuel to state, so sizes are "
        f"not solved for it. Over {len(seeds)} seeds: {calls} margin calls, {liquidations} liquidations "
        f"(asked: none): {verdict(good)}. Fall {fall} %.\n"
    )
    return text, good


def crash_table(runs: Mapping[Job, Kept], seeds: Sequence[int]) -> str:
    """crash_2024_08_05 with forced orders on and off."""
    lines = [
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


def calm_report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """The table of calm_market."""
    return Section(*calm_table(runs, scale.seeds))


def squeeze_jobs(scale: Scale) -> list[Job]:
    """long_squeeze, its twin, and leverage 1, on every seed."""
    return [Job("long_squeeze.yaml", over, seed) for over in ((), (OFF,), LEVERAGE_ONE) for seed in scale.seeds]


def squeeze_report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """The tables of long_squeeze."""
    twins, good = squeeze_table(runs, scale.seeds)
    unlevered, none_liquidated = leverage_one_table(runs, scale.seeds)
    first = runs[Job("long_squeeze.yaml", (), scale.seeds[0])]
    start = (
        f"It starts with fuel ratio {first['fuel_ratio_within_5pct']:.2f} within 5 % "
        f"({first['fuel_ratio_within_1pct']:.2f} within 1 %), D1 {first['depth_1pct'] / 1e6:.1f}M, index feedback "
        f"1 % per {first['index_feedback_depth_1pct'] / 1e6:.1f}M on spot (seed {scale.seeds[0]}).\n\n"
    )
    return Section(start + twins + "\n### Leverage 1\n\n" + unlevered, good and none_liquidated)


def crash_jobs(scale: Scale) -> list[Job]:
    """The crash with forced orders on and off."""
    return [Job("crash_2024_08_05.yaml", over, seed) for over in ((), (OFF,)) for seed in scale.few_seeds]


def crash_report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """The table of the crash; it claims nothing that could fail."""
    return Section(crash_table(runs, scale.few_seeds), True)


CALM = Study("calm_market: leverage at most 10, an ordinary hour", calm_jobs, calm_report)
SQUEEZE = Study("long_squeeze: crowded 20-100x longs, a moderate fall outside", squeeze_jobs, squeeze_report)
CRASH = Study("crash_2024_08_05: forced orders on and off, a real path as the fundamental", crash_jobs, crash_report)
