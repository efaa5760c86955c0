"""Figures and tables of docs/why.md, "Risk numbers" and "Early warning", from the runs of benchmarks.why_runs.

`python -m benchmarks.why_figures --out DIR` reads what is there, writes docs/images/reliability.png and
docs/images/early_warning.png, and prints the tables as markdown.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.studies.runs import ROOT
from benchmarks.why_runs import CASES, OUT
from marginquake.analysis import formats
from marginquake.analysis.early_warning import BASELINE, usual, warn
from marginquake.analysis.early_warning import tables as warning_board
from marginquake.analysis.figures.draw import plot_early_warning, plot_reliability
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.analysis.risk import Assessment, ForecastPlan, assess, assessment
from marginquake.analysis.statistics.intervals import bootstrap
from marginquake.sim.runs.directory import list_runs

HORIZONS_S = (1200.0, 3600.0)
FALL_HORIZONS_S = (300.0, 720.0)
POPULATIONS = ("clustered", "dispersed")
QUANTILES = (0.9, 0.95, 0.99)
SHOWN_QUANTILE = 0.95


def runs_of(out: Path, case: str) -> list[RunFrames]:
    """The finished runs of a case, by seed; seeds beyond those of the case are left out, whatever they say."""
    runs = [load_run(path) for path in list_runs(out / case)]
    return sorted((run for run in runs if int(run.seed) <= CASES[case].seeds), key=lambda run: int(run.seed))


def in_common(out: Path, cases: Sequence[str]) -> dict[str, list[RunFrames]]:
    """Of every case the runs of the seeds that all of them have."""
    found = {case: runs_of(out, case) for case in cases}
    seeds = set.intersection(*({run.seed for run in runs} for runs in found.values()))
    return {case: [run for run in runs if run.seed in seeds] for case, runs in found.items()}


def assessments(out: Path, suffix: str, horizons_s: tuple[float, ...]) -> dict[str, Assessment]:
    """Clustered and dispersed, with their twins, on the same seeds."""
    names = {population: (f"{population}{suffix}", f"{population}{suffix}_twin") for population in POPULATIONS}
    runs = in_common(out, [case for pair in names.values() for case in pair])
    asked = ForecastPlan(horizons_s, ("trailing", "fundamental"))
    return {population: assess([*runs[one], *runs[twin]], asked) for population, (one, twin) in names.items()}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def risk_tables(found: dict[str, Assessment]) -> str:
    """Calls and scores of both populations."""
    seeds = next(iter(found.values())).groups[0].excess.seeds
    calls = [(name, *assessment.call_cells(group)) for name, each in found.items() for group in each.groups]
    scores = [(name, *assessment.score_cells(group)) for name, each in found.items() for group in each.groups]
    return "\n\n".join(
        (
            f"{seeds} seeds.",
            table(("population", *assessment.CALL_HEADINGS), calls),
            table(("population", *assessment.SCORE_HEADINGS), scores),
        )
    )


def clustering(found: dict[str, Assessment], horizon_s: float) -> str:
    """Calls and feedback of the clustered population less those of the dispersed one, paired by seed."""
    of_seed: dict[str, list[dict[str, float]]] = {}
    for each in found.values():
        for made in each.made:
            if made.source == "trailing" and made.horizon_s == horizon_s and made.twin_crossed is not None:
                feedback = float(made.crossed.mean() - made.twin_crossed.mean())
                excess = float(made.called.mean() - made.probability.mean())
                of_seed.setdefault(made.seed, []).append({"feedback": feedback, "excess": excess})
    parts = []
    for measure in ("feedback", "excess"):
        value = bootstrap([one[measure] - other[measure] for one, other in of_seed.values()], "mean")
        parts.append(f"{measure} {assessment.shown(value, signed=True)}")
    within = formats.duration(horizon_s)
    return f"Clustered less dispersed within {within}, paired over {len(of_seed)} seeds: {'; '.join(parts)}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--images", type=Path, default=ROOT / "docs" / "images")
    given = parser.parse_args(arguments)

    hour = assessments(given.out, "", HORIZONS_S)
    seeds = next(iter(hour.values())).groups[0].excess.seeds
    plot_reliability(
        list(hour.items()), given.images / "reliability.png", f"long_squeeze, no fall declared  {seeds} seeds"
    )
    print("An hour without a declared fall:", risk_tables(hour), sep="\n\n")
    print("", clustering(hour, HORIZONS_S[-1]), sep="\n")
    fall = assessments(given.out, "_fall", FALL_HORIZONS_S)
    print("\nAs shipped, with the declared fall:", risk_tables(fall), sep="\n\n")
    print("", clustering(fall, FALL_HORIZONS_S[-1]), sep="\n")

    runs = runs_of(given.out, "warning")
    for quantile in QUANTILES:
        trial = warn(runs, replace(usual(runs[0]), quantile=quantile))
        print("", warning_board.summary(trial), "", sep="\n")
        print(table(warning_board.HEADINGS, [warning_board.cells(model) for model in trial.models]), "\n")
        for model in trial.models:
            if model.name != BASELINE:
                print(f"* {warning_board.verdict(model)}")
        if quantile == SHOWN_QUANTILE:
            plot_early_warning(trial, given.images / "early_warning.png", f"re_leveraging_cycle  {trial.seeds} seeds")
    print("", warning_board.pressure_line(runs, next(iter(runs[0].markets))), sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
