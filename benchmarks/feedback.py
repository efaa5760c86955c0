"""R before an event against the branching that came of it, over a sweep of the fuel ratio.

`python -m benchmarks.feedback` runs what is missing of `long_squeeze` at every fuel ratio and seed, and its twin
without liquidations, keeps what it measures in runs/feedback-<scenario>-model<N>.json (delete it after a change of how
things are measured), prints tables and draws docs/images/feedback.png.  `--scenario dispersed_control` does the same
with levels spread evenly, and draws docs/images/feedback_dispersed_control.png.
What it means: docs/why.md, "The feedback number against what happened".
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.runs import OFF, ROOT, Job, Kept, run_all
from marginquake.analysis.statistics.regression import SeedLine, line_over_seeds
from marginquake.sim.core.typing import Floats
from marginquake.sim.core.version import MODEL_VERSION

FUEL_RATIOS = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
SEEDS = tuple(range(1, 11))
POINTS: dict[str, Any] = {"s": 18, "alpha": 0.6, "linewidths": 0, "cmap": "viridis"}
LEAST_CALLS = 20
"""Events with fewer calls have no branching ratio to speak of."""
STEEP = 1.0
"""Below this R the line of theory is fitted; above it the ratio has hardly anywhere to go."""
SCENARIO = "long_squeeze"
COMMON = ("duration=8min",)
WITH = (*COMMON, "record.events=fills", "record.map_every=1s")
WITHOUT = (*COMMON, "record.events=none", OFF)


def jobs(scenario: str, fuel: float, seeds: Sequence[int]) -> list[Job]:
    """Run and twin of every seed at one fuel ratio."""
    name, ratio = f"{scenario}.yaml", f"fuel_ratio={fuel:g}"
    with_orders = [Job(name, (ratio, *WITH), seed, keep="feedback") for seed in seeds]
    return with_orders + [Job(name, (ratio, *WITHOUT), seed, keep="fall") for seed in seeds]


def row_of(fuel: float, seed: int, kept: Kept, twin: Kept) -> dict[str, Any]:
    """One run beside its twin: falls from the start, `amplification` their ratio, and what else was measured."""
    fall, without = float(kept["fall"]), float(twin["fall"])
    return {
        "fuel": fuel, "seed": seed, "fall": fall, "fall_without": without,
        "amplification": fall / without if without > 0 else math.nan,
        "forced_notional": float(kept["forced_notional"]), "margin_calls": int(kept["margin_calls"]),
        **kept["feedback"],
    }  # fmt: skip


def gather(
    scenario: str, path: Path, fuels: Sequence[float], seeds: Sequence[int], workers: int
) -> list[dict[str, Any]]:
    """All rows; what the file has is not run again."""
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    have = {(row["fuel"], row["seed"]) for row in rows}
    for fuel in fuels:
        missing = [seed for seed in seeds if (fuel, seed) not in have]
        if not missing:
            continue
        wanted = jobs(scenario, fuel, missing)
        runs = run_all(wanted, workers)
        half = len(missing)
        for seed, job, twin in zip(missing, wanted[:half], wanted[half:], strict=True):
            rows.append(row_of(fuel, seed, runs[job], runs[twin]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(f"fuel ratio {fuel:g}: {half} seeds", flush=True)
    return [row for row in rows if row["fuel"] in fuels and row["seed"] in seeds]


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """Rows with an event of some size, a column each."""
    events = [row for row in rows if row.get("calls", 0) >= LEAST_CALLS]
    names = {name for row in rows for name in row}
    found = {name: np.array([_number(row.get(name)) for row in events]) for name in names}
    return found | {"1 - 1/A": 1.0 - 1.0 / found["amplification"]} if events else found


def main(arguments: Sequence[str] | None = None) -> int:
    """Tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument(
        "--scenario", default=SCENARIO, help="a shipped scenario with a fuel ratio, and a fall in 8 min"
    )
    parser.add_argument("--data", type=Path, help="default runs/feedback-SCENARIO-modelN.json")
    parser.add_argument("--output", type=Path, help="default docs/images/feedback.png, with the scenario where another")
    given = parser.parse_args(arguments)
    kept = given.data or ROOT / "runs" / f"feedback-{given.scenario}-model{MODEL_VERSION}.json"
    which = "" if given.scenario == SCENARIO else f"_{given.scenario}"
    output = given.output or ROOT / "docs" / "images" / f"feedback{which}.png"
    rows = gather(given.scenario, kept, FUEL_RATIOS, SEEDS[: given.seeds], given.workers)
    found = columns(rows)
    print_table(rows)
    lines = fits(found)
    print("\n| branching against | where | slope | 95 % | R² | runs |\n|---|---|---|---|---|---|")
    for (name, where), line in lines.items():
        shown = f"{line.slope:.2f} | {line.low:.2f} to {line.high:.2f} | {line.r_squared:.2f} | {line.runs}"
        print(f"| {name} | {where} | {shown} |")
    for name in ("hawkes", "1 - 1/A"):
        gap = found[name] - found["branching"]
        print(f"{name} less true: median {np.nanmedian(gap):+.2f}, {np.nanmin(gap):+.2f} to {np.nanmax(gap):+.2f}")
    print(f"rank correlation of largest R and branching: {ranks(found):.2f}; within a fuel ratio {within(found):.2f}")
    draw(found, lines["r_largest", f"R < {STEEP:g}"], lines["ln r_largest", "all"], output)
    print(output)
    return 0


def fits(found: Mapping[str, Floats]) -> dict[tuple[str, str], SeedLine]:
    """Lines of the branching ratio on each measure of R, below R = 1 and everywhere, and on 1 - 1/A."""
    seed, branching = found["seed"], found["branching"]
    lines = {}
    for name in ("r_at_price", "r_largest", "r_mean"):
        low = found[name] < STEEP
        lines[name, f"R < {STEEP:g}"] = line_over_seeds(found[name][low], branching[low], seed[low])
        lines[name, "all"] = line_over_seeds(found[name], branching, seed)
        lines[f"ln {name}", "all"] = line_over_seeds(np.log(found[name]), branching, seed)
    lines["1 - 1/A", "all"] = line_over_seeds(found["1 - 1/A"], branching, seed)
    lines["hawkes", "all"] = line_over_seeds(found["hawkes"], branching, seed)
    return lines


def ranks(found: Mapping[str, Floats]) -> float:
    """Spearman's rank correlation of the largest R and the branching ratio."""
    from scipy.stats import spearmanr

    return float(spearmanr(found["r_largest"], found["branching"]).statistic)


def within(found: Mapping[str, Floats]) -> float:
    """The same among the seeds of one fuel ratio, mean over fuel ratios: does R know more than the fuel?"""
    groups = [found["fuel"] == fuel for fuel in np.unique(found["fuel"])]
    return float(np.mean([ranks({name: values[group] for name, values in found.items()}) for group in groups]))


TABLE = {
    "calls": "{:.0f}", "r_at_price": "{:.2f}", "r_largest": "{:.2f}", "branching": "{:.2f}", "hawkes": "{:.2f}",
    "fano_10": "{:.0f}", "fall": "{:.2%}", "fall_without": "{:.2%}", "amplification": "{:.2f}", "1 - 1/A": "{:.2f}",
}  # fmt: skip


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Medians over seeds at each fuel ratio."""
    print(f"| fuel ratio | events | {' | '.join(TABLE)} |\n|{'---|' * (len(TABLE) + 2)}")
    for fuel in sorted({row["fuel"] for row in rows}):
        found = columns([row for row in rows if row["fuel"] == fuel])
        cells = [shape.format(float(np.median(found[name]))) for name, shape in TABLE.items()]
        print(f"| {fuel:g} | {len(found['fuel'])} | {' | '.join(cells)} |")


def draw(found: Mapping[str, Floats], line: SeedLine, curve: SeedLine, output: Path) -> None:
    """Left: true branching against the largest R.  Right: against the Hawkes estimate, and against 1 - 1/A."""
    import matplotlib
    from matplotlib.figure import Figure

    from marginquake.analysis.presentation import theme

    with matplotlib.rc_context(theme.LIGHT):
        figure = Figure(figsize=(theme.WIDTH_INCHES, 5.6), layout="constrained")
        wide, hawkes, twins = figure.subplots(1, 3, width_ratios=(2.0, 1.0, 1.0), sharey=True)
        shade = np.log10(found["fuel"])
        r, branching = found["r_largest"], found["branching"]
        shades = wide.scatter(r, branching, c=shade, **POINTS)
        wide.set_xscale("log")
        ideal = np.geomspace(0.9 * np.nanmin(r), 1.1 * np.nanmax(r), 200)
        wide.plot(ideal, np.minimum(ideal, 1.0), ":", color=theme.MUTED, label="branching = R, at most 1")
        below = ideal[ideal <= STEEP]
        fitted = f"R < {STEEP:g}: slope {line.slope:.2f} ({line.low:.2f} to {line.high:.2f})"
        wide.plot(below, line.intercept + line.slope * below, color=theme.FORCED_SELL, label=fitted)
        doubled = curve.slope * math.log(2.0)
        label = f"all: +{doubled:.2f} each time R doubles, R² {curve.r_squared:.2f}"
        wide.plot(ideal, curve.intercept + curve.slope * np.log(ideal), "--", color=theme.INDEX, label=label)
        middle, mean, error = binned(r, branching)
        wide.errorbar(middle, mean, error, fmt="o", color=theme.INK, capsize=3, label="means of bins, 95 %")
        wide.set_xlim(ideal[0], ideal[-1])
        ticks = [
            each for each in (0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0) if ideal[0] < each < ideal[-1]
        ]
        wide.set_xticks(ticks, [f"{each:g}" for each in ticks])
        wide.set_xlabel("largest R within 5 % of the price, last map before the event")
        wide.set_ylabel("true branching ratio of the event")
        wide.set_ylim(0, 1.05)
        wide.legend(loc="lower right")
        for axes, x, label in (
            (hawkes, found["hawkes"], "Hawkes estimate from times alone"),
            (twins, found["1 - 1/A"], "1 - 1/A of run and twin"),
        ):
            axes.scatter(x, branching, c=shade, **POINTS)
            axes.plot((0, 1), (0, 1), ":", color=theme.MUTED)
            axes.set_xlim(-0.05, 1.05)
            axes.set_xlabel(label)
        fuels = np.unique(found["fuel"])
        bar = figure.colorbar(shades, ax=twins, pad=0.03, ticks=np.log10(fuels))
        bar.ax.set_yticklabels([f"{fuel:g}" for fuel in fuels])
        bar.set_label("fuel ratio Λ")
        figure.suptitle("The feedback number before an event, and what came of it", x=0.01, ha="left", weight="bold")
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=110)


def binned(x: Floats, y: Floats, bins: int = 8) -> tuple[Floats, Floats, Floats]:
    """Median of x, mean of y and half its 95 % interval (normal) in bins of equal numbers."""
    parts = np.array_split(np.argsort(x), bins)
    mean = np.array([y[part].mean() for part in parts])
    error = np.array([1.96 * y[part].std(ddof=1) / math.sqrt(len(part)) for part in parts])
    return np.array([np.median(x[part]) for part in parts]), mean, error


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


if __name__ == "__main__":
    raise SystemExit(main())
