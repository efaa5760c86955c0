"""dispersed_control against long_squeeze: do clustered liquidation levels matter, or only how much fuel there is?

Three cells a shock size, paired by seed: clustered (long_squeeze), dispersed with the same accounts, deposits and lots
(equal open interest), and dispersed with all sizes scaled so that as much forced notional lies within reach of the
shock as in the clustered run (equal fuel in reach; reach = the shock itself).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.studies.runs import Job, Kept, Scale, Section, Study
from benchmarks.studies.tables import shown, table
from marginquake.analysis.statistics.intervals import bootstrap

CLUSTERED, DISPERSED = "long_squeeze.yaml", "dispersed_control.yaml"
SHOCKS_PERCENT = (0.4, 0.7, 1.0, 1.4, 2.2)
FUEL_RATIOS = (1.5,)
COMMON = ("duration=7min", "step=200ms")


def overrides(shock: float, fuel_ratio: float) -> tuple[str, ...]:
    """The settings of one cell."""
    shocks = f"index.shocks=[{{at: 2min, log_return: -{shock}%, over: 3min}}]"
    return (*COMMON, shocks, f"fuel_ratio={fuel_ratio:.6g}")


def job(scenario: str, shock: float, fuel_ratio: float, seed: int) -> Job:
    """One run, with its accounts."""
    return Job(scenario, overrides(shock, fuel_ratio), seed, keep="fuel")


def jobs(scale: Scale) -> list[Job]:
    """Clustered, and dispersed with the same accounts."""
    return [
        job(scenario, shock, ratio, seed)
        for ratio in FUEL_RATIOS
        for shock in SHOCKS_PERCENT
        for scenario in (CLUSTERED, DISPERSED)
        for seed in scale.seeds
    ]


def fuel_within(kept: Kept, reach: float) -> float:
    """Long lots whose liquidation price lies within `reach` (a fraction) below the starting price."""
    distance, lots = kept["fuel_distance"], kept["fuel_lots"]
    return float(lots[(distance >= 0) & (distance <= reach)].sum())


def matched(runs: Mapping[Job, Kept], shock: float, ratio: float, seed: int) -> Job | None:
    """Dispersed at equal fuel within reach of the shock; None where there is no fuel in reach to match."""
    clustered, dispersed = (runs[job(scenario, shock, ratio, seed)] for scenario in (CLUSTERED, DISPERSED))
    wanted, had = fuel_within(clustered, shock / 100), fuel_within(dispersed, shock / 100)
    if wanted <= 0 or had <= 0:
        return None
    return job(DISPERSED, shock, ratio * wanted / had, seed)


def more(runs: Mapping[Job, Kept], scale: Scale) -> list[Job]:
    """The third cell: sizes follow from the fuel that the first two had within reach."""
    found = [
        matched(runs, shock, ratio, seed) for ratio in FUEL_RATIOS for shock in SHOCKS_PERCENT for seed in scale.seeds
    ]
    return [each for each in found if each is not None]


def falls(runs: Mapping[Job, Kept], cells: Sequence[Job | None]) -> np.ndarray:
    """Falls in percent; nan where a cell does not exist."""
    return np.array([np.nan if cell is None else 100 * runs[cell]["max_drawdown_fraction"] for cell in cells])


def of_ratio(runs: Mapping[Job, Kept], scale: Scale, ratio: float) -> dict[float, dict[str, np.ndarray]]:
    """Falls of the three cells by shock, in order of seeds, and how the fuel in reach and the sizes compare."""
    outcome = {}
    for shock in SHOCKS_PERCENT:
        clustered = [job(CLUSTERED, shock, ratio, seed) for seed in scale.seeds]
        dispersed = [job(DISPERSED, shock, ratio, seed) for seed in scale.seeds]
        equal_fuel = [matched(runs, shock, ratio, seed) for seed in scale.seeds]
        reach = shock / 100
        outcome[shock] = {
            "clustered": falls(runs, clustered),
            "equal_oi": falls(runs, dispersed),
            "equal_fuel": falls(runs, equal_fuel),
            "fuel_share": np.array(
                [
                    fuel_within(runs[d], reach) / max(fuel_within(runs[c], reach), 1.0)
                    for c, d in zip(clustered, dispersed, strict=True)
                ]
            ),
            "size_factor": np.array(
                [
                    np.nan if m is None else runs[m]["open_interest_start"] / runs[c]["open_interest_start"]
                    for c, m in zip(clustered, equal_fuel, strict=True)
                ]
            ),
        }
    return outcome


def sign_of(difference: np.ndarray) -> str:
    """A paired difference with its interval, and what its sign says."""
    finite = difference[np.isfinite(difference)]
    if len(finite) == 0:
        return "no fuel in reach"
    _, low, high = bootstrap(finite.tolist(), "mean")
    who = "clustered deeper" if low > 0 else "dispersed deeper" if high < 0 else "undecided"
    few = "" if len(finite) == len(difference) else f" ({len(finite)} seeds)"
    return f"{shown(finite.tolist(), '+.2f')} {who}{few}"


def report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """A table a fuel ratio, and the figure."""
    parts, outcomes = [], {}
    for ratio in FUEL_RATIOS:
        outcomes[ratio] = outcome = of_ratio(runs, scale, ratio)
        rows = [
            [
                f"-{shock:g}",
                shown(cell["clustered"].tolist()),
                shown(cell["equal_oi"].tolist()),
                shown(cell["equal_fuel"].tolist()),
                sign_of(cell["clustered"] - cell["equal_oi"]),
                sign_of(cell["clustered"] - cell["equal_fuel"]),
                shown(np.minimum(cell["fuel_share"], 1e3).tolist(), ".2f", "median"),
                shown(cell["size_factor"].tolist(), ".2f", "median"),
            ]
            for shock, cell in outcome.items()
        ]
        header = [
            "shock, %",
            "fall clustered, %",
            "dispersed, equal OI",
            "dispersed, equal fuel in reach",
            "clustered - equal OI",
            "clustered - equal fuel",
            "fuel in reach, dispersed/clustered at equal OI (median)",
            "OI, equal fuel/clustered (median)",
        ]
        parts.append(f"### Fuel ratio {ratio:g}\n\n{table(header, rows)}\n")
    text = (
        f"{len(scale.seeds)} paired seeds a point; largest fall of the last price within 5 min of the start of the "
        "shock, steps of 200 ms. Dispersed: the same accounts, deposits and lots as long_squeeze, entry prices moved "
        "at random (scenarios/dispersed_control.yaml). Means, with 95 % intervals over seeds; differences "
        "are paired.\n\n![Clustered against dispersed](images/dispersion.png)\n\n" + "\n".join(parts)
    )
    return Section(text, True, {"dispersion.png": draw(outcomes)})


def draw(outcomes: Mapping[float, Mapping[float, Mapping[str, np.ndarray]]]) -> Any:
    """Fall against shock for the three cells, and the paired differences below; a column a fuel ratio."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, len(outcomes), sharex=True, squeeze=False, height_ratios=(3, 2))
    colours = {"clustered": "#c0392b", "equal_oi": "#2471a3", "equal_fuel": "#7d8c3a"}
    labels = {
        "clustered": "clustered (long_squeeze)",
        "equal_oi": "dispersed, equal open interest",
        "equal_fuel": "dispersed, equal fuel in reach",
    }
    for column, (ratio, outcome) in enumerate(outcomes.items()):
        shocks = np.array(list(outcome))
        top, bottom = axes[:, column]
        for name, colour in colours.items():
            estimates = np.array([tuple(bootstrap(cell[name].tolist(), "mean")) for cell in outcome.values()])
            errors = np.abs(estimates[:, 1:] - estimates[:, :1]).T
            top.errorbar(shocks, estimates[:, 0], errors, color=colour, marker="o", ms=4, capsize=3, label=labels[name])
            if name == "clustered":
                continue
            gap = np.array([tuple(bootstrap(cell["clustered"] - cell[name], "mean")) for cell in outcome.values()])
            bottom.errorbar(
                shocks, gap[:, 0], np.abs(gap[:, 1:] - gap[:, :1]).T, color=colour, marker="o", ms=4, capsize=3
            )
        top.plot(shocks, shocks, color="grey", lw=0.8, ls="--", label="the shock itself")
        bottom.axhline(0, color="grey", lw=0.8)
        top.set_title(f"fuel ratio {ratio:g} within 5 %", loc="left", fontsize=10)
        bottom.set_xlabel("fall of the fundamental, %")
        top.grid(alpha=0.3)
        bottom.grid(alpha=0.3)
    axes[0, 0].set_ylabel("largest fall, %")
    axes[1, 0].set_ylabel("clustered minus dispersed, points")
    axes[0, 0].legend(frameon=False, fontsize=9)
    figure.suptitle("Above 0 below: clustering makes the fall deeper; bars: 95 % over paired seeds", fontsize=10)
    return figure


DISPERSION = Study("dispersed_control against long_squeeze: what clustering itself contributes", jobs, report, more)
