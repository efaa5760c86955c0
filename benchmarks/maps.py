"""Clusters and maps over seeds: does dispersing the levels lower HHI and what is forced; how wrong is the outsider?

`python -m benchmarks.maps` runs what is missing of `long_squeeze` and `dispersed_control` (paired by seed) and of a
part of an everyday day, keeps what it measures in runs/maps.json, prints tables and draws docs/images/outsider_map.png.
What it says: docs/why.md, "Clusters and maps".
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.runs import ROOT, Job, run_all
from benchmarks.studies.tables import shown, table
from marginquake.analysis.statistics.intervals import bootstrap

CLUSTERED, DISPERSED, EVERYDAY = "long_squeeze.yaml", "dispersed_control.yaml", "everyday_market.yaml"
SHOCKS_PERCENT = (0.5, 1.3)
SQUEEZE = ("duration=7min", "step=200ms", "record.positions_every=30s")
DAY = ("duration=6h", "record.positions_every=30min")
SEEDS, DAY_SEEDS = 8, 3
MEASURED = {
    "hhi": ("HHI of long levels at the start", ".3f", 1.0),
    "largest_share": ("share of the largest cluster", ".2f", 1.0),
    "margin_calls": ("margin calls", ".0f", 1.0),
    "forced_notional": ("forced notional, M", ".1f", 1e-6),
    "cascade_notional": ("largest cascade, M", ".1f", 1e-6),
    "max_drawdown_fraction": ("largest fall, %", ".2f", 100.0),
}
"""What is compared: its name in words, format, factor."""
WAYS = ("sold", "taken_over", "deleveraged", "stopped", "closed", "margin_added", "waiting", "other")


def squeeze(scenario: str, shock: float, seed: int) -> Job:
    """A run of the crowded or of the dispersed longs under a shock."""
    shocks = f"index.shocks=[{{at: 2min, log_return: -{shock}%, over: 3min}}]"
    return Job(scenario, (*SQUEEZE, shocks), seed, keep="maps")


def day(seed: int) -> Job:
    """A quarter of an ordinary day."""
    return Job(EVERYDAY, DAY, seed, keep="maps")


def gather(path: Path, wanted: Sequence[Job], workers: int) -> dict[str, Any]:
    """What is kept of every job; what the file has is not run again."""
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    missing = [job for job in wanted if key(job) not in kept]
    for first in range(0, len(missing), workers):
        for job, found in run_all(missing[first : first + workers], workers).items():
            kept[key(job)] = _plain(found)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept) + "\n", encoding="utf-8")
    return kept


def key(job: Job) -> str:
    """A job in the file."""
    return " ".join((job.scenario, *job.overrides, str(job.seed)))


def control(kept: Mapping[str, Any], shock: float, seeds: Sequence[int]) -> str:
    """Crowded against dispersed, paired by seed."""
    rows = []
    for name, (label, form, factor) in MEASURED.items():
        crowded, dispersed = (
            np.array([factor * kept[key(squeeze(scenario, shock, seed))][name] for seed in seeds])
            for scenario in (CLUSTERED, DISPERSED)
        )
        cells = [shown(values.tolist(), form) for values in (crowded, dispersed)]
        rows.append([label, *cells, shown((dispersed - crowded).tolist(), f"+{form}")])
    return table(["", "long_squeeze", "dispersed_control", "paired difference"], rows)


def errors(kept: Mapping[str, Any], jobs: Sequence[Job], times: Sequence[float]) -> str:
    """The outsider's error over seeds at some times."""
    rows = []
    for time_s in times:
        for knows in ("prints", "entries"):
            found = [_at(kept[key(job)]["errors"][knows], time_s) for job in jobs]
            rows.append(
                [
                    f"{time_s / 60:g} min" if time_s < 3600 else f"{time_s / 3600:g} h",
                    "trades" if knows == "prints" else "entries",
                    *(f"{np.mean([each[name] for each in found]):.2f}" for name in ("traded", "seeded_share")),
                    *(
                        shown([_number(each[name]) for each in found])
                        for name in ("correlation", "correlation_long", "rank_correlation", "mass_ratio")
                    ),
                    shown([100 * _number(each["wasserstein"]) for each in found], ".1f"),
                ]
            )
    header = ["at", "from", "traded / OI", "seeded", "correlation", "of longs", "rank", "mass", "off by, %"]
    return table(header, rows)


def forecast(kept: Mapping[str, Any], jobs: Sequence[Job]) -> str:
    """What became of the notional that the mark reached in the largest cascade."""
    found = [kept[key(job)]["forecast"] for job in jobs if kept[key(job)]["forecast"]["due"] > 0]
    rows = [["due, M", shown([each["due"] / 1e6 for each in found], ".1f")]]
    rows += [[way.replace("_", " "), shown([each[way] / each["due"] for each in found])] for way in WAYS]
    unforeseen = [each["unforeseen"] / each["realised"] for each in found if each["realised"] > 0]
    rows.append(["unforeseen, of what liquidation orders traded", shown(unforeseen)])
    return table([f"largest cascade, {len(found)} runs", "share of due"], rows)


def draw(kept: Mapping[str, Any], squeezes: Sequence[Job], days: Sequence[Job], output: Path) -> None:
    """Correlation of both estimates with the truth over time, in a squeeze and over a quarter of a day."""
    import matplotlib
    from matplotlib.figure import Figure

    from marginquake.analysis.presentation import theme

    with matplotlib.rc_context(theme.LIGHT):
        figure = Figure(figsize=(theme.WIDTH_INCHES, 4.6), layout="constrained")
        for axes, jobs, unit, name in zip(
            figure.subplots(1, 2, sharey=True),
            (squeezes, days),
            (60, 3600),
            ("long_squeeze, min", "everyday_market, h"),
            strict=True,
        ):
            first = kept[key(jobs[0])]["errors"]
            times = np.array([each["time_s"] for each in first["prints"]])
            for knows, colour, label in (
                ("prints", theme.INK, "from trades"), ("entries", theme.BID, "from entries, leverage assumed"),
            ):  # fmt: skip
                estimates = np.array(
                    [
                        tuple(
                            bootstrap(
                                [_number(_at(kept[key(job)]["errors"][knows], t)["correlation"]) for job in jobs],
                                "mean",
                            )
                        )
                        for t in times
                    ]
                )
                axes.plot(times / unit, estimates[:, 0], color=colour, label=label)
                axes.fill_between(times / unit, estimates[:, 1], estimates[:, 2], color=colour, alpha=0.15, linewidth=0)
            seeded = [
                np.mean([_at(kept[key(job)]["errors"]["prints"], t)["seeded_share"] for job in jobs]) for t in times
            ]
            axes.plot(times / unit, seeded, ":", color=theme.MUTED, label="share of positions that no trade tells of")
            axes.set_xlabel(f"{name} ({len(jobs)} seeds)")
            axes.set_ylim(-0.05, 1.05)
        figure.axes[0].set_ylabel("correlation with the true map")
        figure.axes[1].legend(loc="upper right")
        figure.suptitle("How much of the liquidation map an outsider sees", x=0.01, ha="left", weight="bold")
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--day-seeds", type=int, default=DAY_SEEDS)
    parser.add_argument("--data", type=Path, default=ROOT / "runs" / "maps.json")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "outsider_map.png")
    given = parser.parse_args(arguments)
    seeds, days = range(1, given.seeds + 1), [day(seed) for seed in range(1, given.day_seeds + 1)]
    cells = [(scenario, shock) for shock in SHOCKS_PERCENT for scenario in (CLUSTERED, DISPERSED)]
    kept = gather(given.data, [squeeze(*cell, seed) for seed in seeds for cell in cells] + days, given.workers)
    for shock in SHOCKS_PERCENT:
        print(f"\nShock of {shock:g} %\n\n{control(kept, shock, seeds)}")
    crowded = [squeeze(CLUSTERED, SHOCKS_PERCENT[-1], seed) for seed in seeds]
    print(f"\n{errors(kept, crowded, (0, 120, 300, 420))}")
    print(f"\n{errors(kept, days, (0, 3600, 10800, 21600))}")
    print(f"\n{forecast(kept, crowded)}")
    draw(kept, crowded, days, given.output)
    return 0


def _at(found: Sequence[Mapping[str, Any]], time_s: float) -> Mapping[str, Any]:
    return min(found, key=lambda each: abs(each["time_s"] - time_s))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _plain(found: Any) -> Any:
    """JSON without NaN."""
    if isinstance(found, Mapping):
        return {name: _plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(value) for value in found]
    if isinstance(found, np.generic):
        found = found.item()
    return None if isinstance(found, float) and not np.isfinite(found) else found


if __name__ == "__main__":
    raise SystemExit(main())
