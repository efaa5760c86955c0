"""The stress scenarios: short_squeeze, thin_book, adl_stress, stop_hunt_levels, re_leveraging_cycle."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.studies.runs import OFF, Job, Kept, Scale, Section, Study
from benchmarks.studies.tables import shown, table, verdict
from marginquake.analysis.statistics.intervals import bootstrap

ROUND = 500.0
"""What `round_grid` of stop_hunt_levels is, quote units."""
CYCLE_SEEDS = 1
"""Days at 1-s steps take minutes a run."""


def jobs(scale: Scale) -> list[Job]:
    """Each scenario on a few seeds, with the twin where forced orders are the question."""
    wanted = [Job("re_leveraging_cycle.yaml", (), seed, keep="populations") for seed in scale.few_seeds[:CYCLE_SEEDS]]
    for scenario in ("short_squeeze.yaml", "thin_book.yaml"):
        wanted += [Job(scenario, over, seed, keep="populations") for over in ((), (OFF,)) for seed in scale.few_seeds]
    wanted += [Job("adl_stress.yaml", (), seed, keep="populations") for seed in scale.few_seeds]
    wanted += [Job("stop_hunt_levels.yaml", (), seed, keep="populations") for seed in scale.seeds]
    return wanted


def largest_move(kept: Kept, sign: int) -> float:
    """Largest rise (+1) from the running low or fall (-1) from the running high of the last price, log percent: rises
    and falls of the same size weigh alike here; `sim.core.price_moves` (eq. 185) takes fractions."""
    series = kept["series"]
    live = np.asarray(series["time_s"]) >= 0
    last = np.asarray(series["last"])[live]
    path = -sign * np.log(last[np.isfinite(last)])
    return 100 * float(np.max(np.maximum.accumulate(path) - path))


def twins_report(runs: Mapping[Job, Kept], scale: Scale) -> tuple[str, bool]:
    """short_squeeze rises further than its twin, thin_book falls further than its own."""
    rows, good = [], True
    for scenario, sign, word in (("short_squeeze.yaml", 1, "rise"), ("thin_book.yaml", -1, "fall")):
        on = [runs[Job(scenario, (), seed, keep="populations")] for seed in scale.few_seeds]
        off = [runs[Job(scenario, (OFF,), seed, keep="populations")] for seed in scale.few_seeds]
        moves = [largest_move(kept, sign) for kept in on]
        twins = [largest_move(kept, sign) for kept in off]
        ratio = [a / b for a, b in zip(moves, twins, strict=True)]
        rows.append(
            [scenario.removesuffix(".yaml"), word, shown(moves), shown(twins), shown(ratio),
             shown([float(k["liquidations"]) for k in on], ".0f"),
             shown([k["forced_notional"] / k["depth_1pct"] for k in on])]
        )  # fmt: skip
        if scenario == "short_squeeze.yaml":
            good &= bootstrap(ratio, "mean").value > 1.0
    header = ["scenario", "", "largest, %", "twin's, %", "ratio", "liquidations", "forced / D1"]
    return table(header, rows), good


def innocents_lost(kept: Kept) -> float:
    """Most that an account lost which held nothing at the start and at the end and traded nothing, quote units."""
    accounts = kept["accounts"]
    idle = (np.asarray(accounts["position_start"]) == 0) & (np.asarray(accounts["position_end"]) == 0)
    idle &= np.asarray(accounts["fees_paid"], float) == 0
    idle &= ~np.isin(np.asarray(accounts["population"]).astype(str), ("insurance", "fees", "rounding"))
    change = np.asarray(accounts["equity_end"], float) - np.asarray(accounts["equity_start"], float)
    return float(max(0.0, -change[idle].min())) if idle.any() else 0.0


def adl_report(runs: Mapping[Job, Kept], scale: Scale) -> tuple[str, bool]:
    """ADL is reached, and nobody without a position loses."""
    rows, good = [], True
    for seed in scale.few_seeds:
        kept = runs[Job("adl_stress.yaml", (), seed, keep="populations")]
        lost = innocents_lost(kept)
        good &= kept["adl_notional"] > 0 and lost <= 0
        rows.append(
            [str(seed), f"{kept['liquidations']:,}", f"{kept['insurance_fund_start'] / 1e3:.0f}k",
             f"{kept['insurance_fund_end'] / 1e3:.0f}k", f"{kept['takeover_notional'] / 1e6:.1f}M",
             f"{kept['adl_notional'] / 1e6:.1f}M",
             f"{kept['adl_notional'] / max(kept['adl_notional'] + kept['forced_notional'], 1.0):.2f}",
             f"{lost:.0f}"]
        )  # fmt: skip
    header = ["seed", "liquidations", "fund before", "after", "taken over", "ADL", "ADL share",
              "most lost without a position or a trade"]  # fmt: skip
    return (
        f"{table(header, rows)}\n\nADL reached and nobody without a position lost, on every seed: {verdict(good)}.",
        good,
    )


def hunt_report(runs: Mapping[Job, Kept], scale: Scale) -> str:
    """Osler's two predictions, as differences between round and other prices."""
    from marginquake.analysis.figures.round_prices import OTHER_OFFSETS
    from marginquake.analysis.levels.round_prices import visits

    speed, turn, crossings = [], [], 0
    for seed in scale.seeds:
        series = runs[Job("stop_hunt_levels.yaml", (), seed, keep="populations")]["series"]
        time_s, price = np.asarray(series["time_s"]), np.asarray(series["last"])
        live = time_s > 0
        found = visits(time_s[live], price[live], ROUND, 0.0)
        others = [visits(time_s[live], price[live], ROUND, ROUND * share) for share in OTHER_OFFSETS]
        away = np.concatenate([v.run_on_bps for v in others])
        crossings += len(found.run_on_bps)
        if len(found.run_on_bps) and len(away):
            speed.append(float(found.run_on_bps.mean() - away.mean()))
        approaches = sum(v.approaches for v in others)
        if found.approaches and approaches:
            turn.append(found.turned / found.approaches - sum(v.turned for v in others) / approaches)
    return (
        f"Round prices are multiples of {ROUND:g}, compared with that grid shifted by {len(OTHER_OFFSETS)} offsets. "
        f"{crossings} crossings on {len(scale.seeds)} seeds; each counts once until the price has left the "
        "level by a tenth of the grid. Osler predicts both above 0.\n\n"
        "* Move in the minute after a crossing, in its direction, round less other prices: "
        f"{shown(speed, '+.1f')} bp.\n"
        "* Share of approaches that turn back, round less other prices: "
        f"{shown([100 * t for t in turn], '+.1f')} points."
    )


def leverage_around(kept: Kept, at_s: float) -> tuple[float, float, float]:
    """The crowd's positions over equity: hour before a fall, least within 4 h after, and 16 h after it."""
    crowd = kept["populations"]
    chosen = np.asarray(crowd["population"]).astype(str) == "retail"
    time_s = np.asarray(crowd["time_s"], float)[chosen]
    gross = (np.asarray(crowd["long_notional"], float) + np.asarray(crowd["short_notional"], float))[chosen]
    equity = np.asarray(crowd["equity"], float)[chosen]
    ratio = gross / np.where(equity > 0, equity, np.nan)

    def mean(first: float, last: float) -> float:
        inside = (time_s >= first) & (time_s < last)
        return float(np.nanmean(ratio[inside])) if inside.any() else math.nan

    after = (time_s >= at_s) & (time_s < at_s + 4 * 3600)
    return mean(at_s - 3600, at_s), float(np.nanmin(ratio[after])), mean(at_s + 15 * 3600, at_s + 16 * 3600)


def cycle_report(runs: Mapping[Job, Kept], scale: Scale) -> tuple[str, bool]:
    """Leverage falls with each fall and is rebuilt between them."""
    rows, good = [], True
    for seed in scale.few_seeds[:CYCLE_SEEDS]:
        kept = runs[Job("re_leveraging_cycle.yaml", (), seed, keep="populations")]
        for number, at_h in enumerate((14, 32), start=1):
            before, least, later = leverage_around(kept, at_h * 3600.0)
            rebuilt = (later - least) / (before - least) if before > least else math.nan
            good &= before - least > 0.05 * before and later - least > 0.5 * (before - least)
            rows.append([str(seed), f"{number} (at {at_h} h)", f"{before:.2f}", f"{least:.2f}", f"{later:.2f}",
                         f"{100 * rebuilt:.0f} %", f"{kept['liquidations']:,}"])  # fmt: skip
    header = ["seed", "fall", "crowd's leverage before", "least within 4 h", "16 h later", "rebuilt",
              "liquidations, 2 days"]  # fmt: skip
    note = "Leverage of the crowd: positions of population `retail` over the equity of all its accounts."
    claim = "Cut by each fall by a twentieth or more, and at least half of that rebuilt 16 h later"
    return f"{note}\n\n{table(header, rows)}\n\n{claim}: {verdict(good)}.", good


def report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """All five scenarios."""
    twins, squeezed = twins_report(runs, scale)
    adl, reached = adl_report(runs, scale)
    cycle, rebuilt = cycle_report(runs, scale)
    seeds: Sequence[int] = scale.few_seeds
    text = (
        f"{len(seeds)} seeds ({len(scale.seeds)} of stop_hunt_levels); means with 95 % intervals over seeds.\n\n"
        f"### short_squeeze and thin_book, against the same seed without forced orders\n\n{twins}\n\n"
        f"### adl_stress\n\n{adl}\n\n### stop_hunt_levels\n\n{hunt_report(runs, scale)}\n\n"
        f"### re_leveraging_cycle\n\n{cycle}\n"
    )
    return Section(text, squeezed and reached and rebuilt)


STRESS = Study("Stress scenarios: squeezed shorts, thin books, ADL, round prices, the leverage cycle", jobs, report)
