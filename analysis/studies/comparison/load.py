"""Reads the sweep directory of a comparison: which runs there are, and every metric of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final, final

import numpy as np

from marginquake.analysis.frames.run_frames import load_run
from marginquake.analysis.measures.summary_metrics import SummaryMetric, of_market
from marginquake.analysis.studies.comparison.metrics import PROFIT, measure, metric_named
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.directory import RunDirectoryError, read_manifest
from marginquake.sim.runs.fingerprints import table_is_as_written
from marginquake.sim.runs.sweep_plan import is_sweep, read_failures, read_plan

DESIGN: Final = "compare"
AXIS: Final = "policy"
FEWEST: Final = 2
"""Alternatives of a comparison, at least."""


@final
@dataclass(frozen=True)
class Failure:
    """One run that did not come to its end."""

    alternative: str
    seed: int
    error: str


@final
@dataclass(frozen=True)
class Comparison:
    """The runs of a comparison as numbers.

    `alternatives[0]` is the baseline; `scenarios` and `overrides` are those of each.  `seeds`: used, because every
    alternative has a run of them; `dropped`: asked for, but not finished by all.  `values[alternative][metric key]`:
    one value a used seed, in their order; NaN where a run cannot answer.  `runs[alternative]`: names below points/, in
    that order.  `digests[alternative]`: of its resolved scenario, all that decides what happens; "" where the runs do
    not say.
    """

    path: Path
    name: str
    question: str
    model_version: str
    alternatives: tuple[str, ...]
    scenarios: Mapping[str, str]
    overrides: Mapping[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    dropped: tuple[int, ...]
    failures: tuple[Failure, ...]
    runs: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Mapping[str, Floats]]
    file_text: str
    digests: Mapping[str, str]
    first_market: str = ""
    """Name of the first market where the runs have several; empty where they have one."""

    def described(self, key: str) -> SummaryMetric:
        """How a metric is called and written; the first market is named where the runs have several."""
        found = metric_named(key)
        first = not key.startswith(PROFIT) and "." not in key
        return of_market(found, self.first_market) if self.first_market and first else found

    @property
    def baseline(self) -> str:
        """What the others are compared with."""
        return self.alternatives[0]

    @property
    def scenario(self) -> str:
        """The scenario of all alternatives, or all of theirs."""
        return ", ".join(dict.fromkeys(self.scenarios.values()))

    @property
    def shared_overrides(self) -> tuple[str, ...]:
        """What all alternatives begin with: the part that is held fixed."""
        columns = zip(*(self.overrides[name] for name in self.alternatives), strict=False)
        return tuple(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))

    def own_overrides(self, alternative: str) -> tuple[str, ...]:
        """What is said of this alternative beyond `shared_overrides`."""
        return self.overrides[alternative][len(self.shared_overrides) :]

    def same_rule_as(self, alternative: str) -> str | None:
        """The first alternative before this one whose resolved scenario is the same, however it is written."""
        before = takewhile(lambda name: name != alternative, self.alternatives)
        own = self.digests.get(alternative)
        return next((name for name in before if own and self.digests.get(name) == own), None)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Keys of all metrics, in the order of tables; populations in alphabetical order behind them."""
        return tuple(dict.fromkeys(key for alternative in self.alternatives for key in self.values[alternative]))


def load_comparison(path: str | Path) -> Comparison:
    """Measure every run of a comparison.

    Raises `RunDirectoryError` with one message when `path` is no comparison, or when no seed was finished by all.
    """
    directory = Path(path)
    if not is_sweep(directory):
        raise RunDirectoryError(f"{directory}: no comparison: sweep.json missing; `marginquake compare FILE` makes one")
    plan = read_plan(directory)
    if plan.design != DESIGN:
        raise RunDirectoryError(f"{directory}: a sweep of design {plan.design!r}, no comparison of policies")
    try:
        points = sorted(plan.points, key=lambda point: point.point)
        alternatives = tuple(str(point.values[AXIS]) for point in points)
        labels = {point.point: label for point, label in zip(points, alternatives, strict=True)}
        overrides = {labels[point.point]: point.overrides for point in points}
        if len(set(alternatives)) < max(FEWEST, len(alternatives)):
            raise RunDirectoryError(f"{directory}: a comparison needs {FEWEST} alternatives of different names")
        found = _finished(directory, labels)
        seeds = tuple(seed for seed in plan.seeds if all((label, seed) in found for label in alternatives))
        failures = tuple(Failure(labels[each.point], each.seed, each.error) for each in read_failures(directory))
        if not seeds:
            reason = f"; the first failure: {failures[0].error}" if failures else ""
            raise RunDirectoryError(f"{directory}: no seed was finished by every alternative{reason}")
        runs = {label: tuple(found[label, seed] for seed in seeds) for label in alternatives}
        measured = {label: _measured(directory, runs[label]) for label in alternatives}
        return Comparison(
            path=directory,
            name=plan.name,
            question=plan.question,
            model_version=plan.model_version,
            alternatives=alternatives,
            scenarios={label: scenario for label, (scenario, _, _) in measured.items()},
            overrides=overrides,
            seeds=seeds,
            dropped=tuple(seed for seed in plan.seeds if seed not in seeds),
            failures=failures,
            runs=runs,
            values={label: values for label, (_, _, values) in measured.items()},
            file_text=_text(directory / "sweep.yaml"),
            digests={label: _digest(directory, runs[label]) for label in alternatives},
            first_market=next((market for _, market, _ in measured.values() if market), ""),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise RunDirectoryError(f"{directory}: cannot be read: {type(error).__name__}: {error}") from error


def _finished(directory: Path, labels: Mapping[int, str]) -> dict[tuple[str, int], str]:
    """Names of the runs below points/ by alternative and seed."""
    import pyarrow.parquet as pq

    file = directory / "results.parquet"
    if not file.is_file():
        raise RunDirectoryError(f"{directory}: results.parquet missing; run the comparison to its end first")
    found = pq.ParquetFile(file).read()
    if not table_is_as_written(found):
        raise RunDirectoryError(f"{file}: has changed since it was written; compare again with --resume")
    table = found.to_pydict()
    if not table:
        return {}  # not one run was finished: a table without columns
    rows = zip(table["point"], table["seed"], table["run"], strict=True)
    return {(labels[int(point)], int(seed)): str(run) for point, seed, run in rows}


def _measured(directory: Path, runs: tuple[str, ...]) -> tuple[str, str, dict[str, Floats]]:
    """The scenario of these runs, their first market where there are several, and every metric of each."""
    rows: list[dict[str, float]] = []
    for run in runs:
        frames = load_run(directory / "points" / run)
        rows.append(measure(frames))
    keys = dict.fromkeys(key for row in rows for key in row)
    first = frames.first.name if len(frames.markets) > 1 else ""
    return frames.name, first, {key: np.array([row.get(key, np.nan) for row in rows], np.float64) for key in keys}


def _digest(directory: Path, runs: tuple[str, ...]) -> str:
    return str(read_manifest(directory / "points" / runs[0]).get("scenario_digest") or "")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""
