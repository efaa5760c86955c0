"""Twins of a run: the same seeds and streams with one mechanism off, and what that mechanism did.

Part of the composition root.  Model: docs/model.md, eq. 180-184.  Runs lie in `twins/` beside the run
(sim/studies/twin_runs.py): what is there is not made again, and what finishes is kept.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from marginquake.analysis.frames.run_frames import RunFrames, frames_of, load_run
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import bootstrap
from marginquake.analysis.studies.twins import (
    Cell,
    Outcome,
    TwinResult,
    effect_of,
    lost_by,
    outcome,
    read_twin,
    write_twin,
)
from marginquake.analysis.studies.twins.outcome import forced_side
from marginquake.analysis.studies.twins.result import path_of, thinned
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.runs import directory
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies import run as running
from marginquake.sim.studies.mechanisms import MECHANISMS, Absent, Mechanism, mechanism_named
from marginquake.sim.studies.sweep import LEAN
from marginquake.sim.studies.trust import RESOLVED
from marginquake.sim.studies.twin_runs import TwinOrder, folder_of, make_all, order_for
from marginquake.sim.studies.workers import SweepProgress

NOTHING = ("nothing",)
WITH_FILLS = "record.events=fills"
Without = tuple[str, ...]
Progress = Callable[[SweepProgress], None]


class CannotBeOff(RunDirectoryError):
    """What was asked to be left out is not there, or the rest of the scenario needs it."""


class TwinsDiffer(RuntimeError):
    """A twin with nothing changed gave other events."""


@final
@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What was found, a result a market, and where it is kept; `base`, `twin`: the runs of the first seed.

    `fuller`: what the file at `path` holds that this answer does not, in words.  It was left as it is then.
    """

    results: tuple[TwinResult, ...]
    path: Path
    base: RunFrames
    twin: RunFrames
    fuller: str = ""

    @property
    def result(self) -> TwinResult:
        """Of the first market."""
        return self.results[0]


def counterfactual(
    run: Path,
    without: Sequence[str],
    seeds: int = 1,
    workers: int = 1,
    pair_only: bool = False,
    progress: Progress | None = None,
    allow_code: bool = False,
) -> Counterfactual:
    """Run a run's twins without these mechanisms or populations, compare, and keep the result in the run.

    `seeds`: the run's own and the following ones; runs with everything on are made where they are missing.  Without
    forced orders alone, in a scenario with stops, twins without stops come with it unless `pair_only`.  A result that
    is there is replaced by one that holds all its seeds and cells, and by no other.
    `allow_code`: also where the run has classes of the user, which runs their code (docs/trust.md).
    Raises RunDirectoryError for what cannot be asked, `TwinsDiffer` where nothing was changed and events differ.
    """
    return Study(run, without, seeds, pair_only, allow_code).carry_out(workers, progress)


@final
class Study:
    """One question about one run, checked: `carry_out` answers it."""

    def __init__(
        self, run: Path, without: Sequence[str], seeds: int = 1, pair_only: bool = False, allow_code: bool = False
    ) -> None:
        self.run = run
        self._allow_code = allow_code
        self.without = tuple(dict.fromkeys(without))
        if "nothing" in self.without and len(self.without) > 1:
            raise RunDirectoryError("--without nothing: goes with no other --without")
        manifest = directory.read_manifest(run)
        if manifest.get("model_version") != MODEL_VERSION:
            raise RunDirectoryError(
                f"{run}: made by model version {manifest.get('model_version')}, this is {MODEL_VERSION}: its twins "
                "would differ from it for that alone; run the scenario again"
            )
        self.scenario = self._load(())
        self._digest = str(manifest["scenario_digest"])
        if not self.without:
            raise RunDirectoryError(nothing_said(str(run), self.scenario, self._can_be_off))
        first = int(manifest["seed"])
        self.seeds = tuple(range(first, first + seeds))
        self.cells = _cells(self.without, self.scenario, pair_only)
        self._made = 0
        self._started = time.perf_counter()
        try:
            for cell in self.cells[1:]:  # every mistake is told before anything is run
                self._twin(cell, directory.read_summary(run))
        except CannotBeOff as why:
            raise _with_list(why, self.scenario, self._can_be_off) from None
        self._kept = _kept(path_of(run, self.without), str(manifest["event_digest"]))

    def carry_out(self, workers: int = 1, progress: Progress | None = None) -> Counterfactual:
        """Make what is missing, compare, and write the result into the run."""
        self._progress, self._total = progress, len(self.seeds) * len(self.cells)
        bases = self._bases(workers)
        frames = self._again(bases) if self.without == NOTHING else self._twins(bases, workers)
        measured: dict[str, dict[Without, list[Outcome]]] = {
            market.name: {cell: [] for cell in self.cells} for market in self.scenario.markets
        }
        pair: list[RunFrames] = []
        for cell, base, twin in frames:
            check_same_path(base, twin)
            for market, cells in measured.items():
                cells[cell].append(outcome(twin, market))
                if cell == self.cells[1]:
                    cells[()].append(outcome(base, market))
            if cell == self.cells[1]:
                pair = pair or [base, twin]
        results = tuple(_result(self.without, market, cells, *pair) for market, cells in measured.items())
        fuller = lost_by(results, self._kept)
        path = path_of(self.run, self.without) if fuller else write_twin(results, self.run)
        return Counterfactual(results, path, pair[0], pair[1], fuller)

    def _can_be_off(self, name: str) -> bool:
        try:
            self._twin((name,), directory.read_summary(self.run))
        except RunDirectoryError:
            return False
        return True

    def _bases(self, workers: int) -> dict[int, Path]:
        """A run with everything on for every seed: the run itself, others that are there, and what is made."""
        lean = self.scenario if self.scenario.record.events in ("fills", "all") else self._load((WITH_FILLS,))
        found = {self.seeds[0]: self.run}
        wanted: dict[int, Scenario] = {}
        for seed in self.seeds[1:]:
            name = directory.run_name(self.scenario.name, self.scenario.digest_as_read(MODEL_VERSION), seed)
            beside = self.run.parent / name
            if directory.is_complete(beside):
                found[seed] = beside
            else:
                wanted[seed] = lean
        made = self._make([self._order((), scenario, seed) for seed, scenario in wanted.items()], workers)
        self._tell(len(found))
        return {**found, **dict(zip(wanted, made, strict=True))}

    def _twins(self, bases: Mapping[int, Path], workers: int) -> Iterator[tuple[Without, RunFrames, RunFrames]]:
        """Every cell of every seed with the run it belongs to."""
        keys = list(itertools.product(self.seeds, self.cells[1:]))
        summaries = {seed: directory.read_summary(path) for seed, path in bases.items()}
        made = self._make([self._order(cell, self._twin(cell, summaries[seed]), seed) for seed, cell in keys], workers)
        paths = dict(zip(keys, made, strict=True))
        for seed in self.seeds:
            base = load_run(bases[seed])
            for cell in self.cells[1:]:
                yield cell, base, load_run(paths[seed, cell])

    def _again(self, bases: Mapping[int, Path]) -> Iterator[tuple[Without, RunFrames, RunFrames]]:
        """Every seed once more with nothing changed; raises where that gives other events."""
        for seed in self.seeds:
            base = load_run(bases[seed])
            scenario = self._twin(NOTHING, base.summary)
            twin = frames_of(running.simulate(scenario, seed), scenario)
            self._tell(1, made=True)
            was, now = base.summary["event_digest"], twin.summary["event_digest"]
            if was != now:
                raise TwinsDiffer(
                    f"{base.path}: with nothing changed seed {seed} gave other events ({now}, not {was}): was the run "
                    "made by other sources, or is a class of the scenario not repeatable?"
                )
            yield NOTHING, base, twin

    def _twin(self, cell: Without, summary: Mapping[str, Any]) -> Scenario:
        """The scenario of a cell, for a run with this summary."""
        chosen = [_switched_off(name, self.scenario) for name in cell]
        changes: dict[str, Any] = {}
        for _, own in chosen:
            changes |= own
        gone = [path for path, value in changes.items() if value is None and path.count(".") == 1]
        changes = {
            path: value for path, value in changes.items()
            if path in gone or not any(path.startswith(f"{each}.") for each in gone)
        }  # fmt: skip
        if any(mechanism.moves_start for mechanism, _ in chosen):
            changes |= self._sizes(summary)
        overrides = *(f"{path}={json.dumps(value)}" for path, value in changes.items()), LEAN
        try:
            return self._load(overrides)
        except ScenarioError as error:
            # lines of the resolved scenario and fields to add help nobody who only asked for a twin
            why = "; ".join(problem.message.partition("; ")[0] for problem in error.problems)
            names = " --without ".join(cell)
            raise CannotBeOff(f"--without {names}: the rest of {self.scenario.name} cannot be run: {why}") from None

    def _sizes(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Positions at the start are as large as in the run: they are not solved for a fuel ratio again."""
        changes: dict[str, Any] = {}
        for place, market in enumerate(self.scenario.markets):
            if market.fuel_ratio is None:
                continue
            key = "position_scale" if place == 0 else f"{market.name}.position_scale"
            if not isinstance(summary.get(key), float):
                raise RunDirectoryError(
                    f"{self.run}: summary.json has no {key}: made before there were twins; run the scenario again"
                )
            prefix = "" if len(self.scenario.markets) == 1 and market.name == "main" else f"markets.{market.name}."
            # all markets' own blocks carry a fuel ratio of their own once the scenario is resolved
            changes |= {f"{prefix}fuel_ratio": None, f"{prefix}position_scale": summary[key]}
        return changes

    def _load(self, overrides: Sequence[str]) -> Scenario:
        return running.load_scenario(directory.checked(self.run / RESOLVED), overrides, self._allow_code)

    def _order(self, cell: Without, scenario: Scenario, seed: int) -> TwinOrder:
        return order_for(self.run, self._digest, cell, scenario, seed)

    def _make(self, orders: Sequence[TwinOrder], workers: int) -> list[Path]:
        """These runs in `twins/`, in order; what is there already is not made again."""
        folder = folder_of(self.run.parent)
        missing = {each.name: each for each in orders if not directory.is_complete(folder / each.name)}
        self._tell(len(orders) - len(missing))
        if missing:
            directory.check_target(folder, next(iter(missing)))
            make_all(missing, folder, workers, lambda: self._tell(1, made=True))
        return [folder / each.name for each in orders]

    _progress: Progress | None = None
    _total = 0
    _done = 0

    def _tell(self, more: int, made: bool = False) -> None:
        """So many runs more are there."""
        self._done += more
        self._made += made
        if self._progress is not None:
            pace = (time.perf_counter() - self._started) / max(self._made, 1)
            self._progress(SweepProgress(self._done, 0, self._total, pace * (self._total - self._done)))


def check_same_path(base: RunFrames, twin: RunFrames) -> None:
    """Refuse a twin to which something else has happened outside: it would not be one."""
    for name, market in base.markets.items():
        own, other = market.series, twin.markets[name].series
        same_times = np.array_equal(own["time_s"], other["time_s"])
        if same_times and np.array_equal(own["fundamental"], other["fundamental"], equal_nan=True):
            continue
        when = "their times differ"
        if same_times:
            first = int(np.flatnonzero(own["fundamental"] != other["fundamental"])[0])
            when = f"the fundamental of {name} differs from {own['time_s'][first]:g} s on"
        raise RunDirectoryError(
            f"{twin.path} is no twin of {base.path}: {when}; delete it and ask again (a data file or a class of the "
            "scenario may have changed since the run)"
        )


def nothing_said(run: str, scenario: Scenario, can_be_off: Callable[[str], bool]) -> str:
    """The message without `--without`: everything that can be left out of this scenario."""
    return (
        f"counterfactual {run}: say what to leave out, --without WHAT, once or more often. "
        f"{could_be_off(scenario, can_be_off)} `--without nothing` checks that the same events come again."
    )


def could_be_off(scenario: Scenario, can_be_off: Callable[[str], bool]) -> str:
    """Every mechanism and population that a twin could do without, one by one: the one list in every message."""
    names = [name for name in (*MECHANISMS, *scenario.populations) if name != "nothing" and can_be_off(name)]
    said = {name: MECHANISMS[name].says for name in names if name in MECHANISMS}
    mechanisms = [name if name == words else f"{name} ({words})" for name, words in said.items()]
    populations = [name for name in names if name not in MECHANISMS]
    return (
        f"Mechanisms of {scenario.name}: {', '.join(mechanisms) or 'none'}. Populations: "
        f"{', '.join(populations) or 'none that could be spared'}."
    )


def _with_list(why: CannotBeOff, scenario: Scenario, can_be_off: Callable[[str], bool]) -> RunDirectoryError:
    """The same mistake with what can be left out instead."""
    end = "" if str(why).endswith("?") else "."
    return RunDirectoryError(f"{why}{end} {could_be_off(scenario, can_be_off)}")


def check_without(file: Path, without: Sequence[str], allow_code: bool | None = None) -> None:
    """Refuse a question that a run of this scenario cannot answer, before it is run."""
    scenario = running.load_scenario(file, (), allow_code)

    def changes(name: str) -> list[str]:
        return [f"{path}={json.dumps(value)}" for path, value in _switched_off(name, scenario)[1].items()]

    def can_be_off(name: str) -> bool:
        try:
            running.load_scenario(file, changes(name), allow_code)
        except (RunDirectoryError, ScenarioError):
            return False
        return True

    if not without:
        raise RunDirectoryError(nothing_said(str(file), scenario, can_be_off))
    try:
        for name in without:
            changes(name)
    except CannotBeOff as why:
        raise _with_list(why, scenario, can_be_off) from None


def _kept(path: Path, event_digest: str) -> tuple[TwinResult, ...]:
    """What a file holds of these events; nothing if it is not there or of others."""
    found = read_twin(path) if path.is_file() else ()
    return tuple(each for each in found if each.event_digest == event_digest)


def _cells(without: Without, scenario: Scenario, pair_only: bool) -> tuple[Without, ...]:
    """What is off in each cell; the first two are the pair that was asked for."""
    if without == ("liquidation",) and not pair_only and _has(MECHANISMS["stops"], scenario):
        return (), without, ("stops",), ("liquidation", "stops")
    return (), without


def _has(mechanism: Mechanism, scenario: Scenario) -> bool:
    try:
        mechanism.changes(scenario)
    except Absent:
        return False
    return True


def _switched_off(name: str, scenario: Scenario) -> tuple[Mechanism, Mapping[str, Any]]:
    """A mechanism or population and the changes that switch it off."""
    try:
        mechanism = mechanism_named(name, scenario)
        return mechanism, mechanism.changes(scenario)
    except Absent as why:
        raise CannotBeOff(str(why)) from None


def _result(
    without: Without, market: str, outcomes: Mapping[Without, Sequence[Outcome]], base: RunFrames, twin: RunFrames
) -> TwinResult:
    """Put all seeds of a market together.  The side that is compared is the one on which most was forced with
    everything on."""
    everything = outcomes[()]
    direction = forced_side(
        sum(each.forced_sold for each in everything), sum(each.forced_bought for each in everything)
    )
    moves = {cell: np.array([each.moved(direction) for each in found]) for cell, found in outcomes.items()}
    pairs = [(without, ())] if len(moves) == 2 else _all_effects()
    effects = []
    for of, given in pairs:
        by_set = {frozenset(cell): values for cell, values in moves.items()}
        effects.append(effect_of(of, given, by_set[frozenset(given)], by_set[frozenset(of + given)]))
    run, other = base.markets[market].run, twin.markets[market].run
    times, price_with, price_without = thinned(run["time_s"], run["last"], other["last"])
    return TwinResult(
        without=without,
        run=base.path.name,
        event_digest=str(base.summary["event_digest"]),
        market=market,
        direction=direction,
        seeds=tuple(each.seed for each in everything),
        cells=tuple(
            Cell(
                cell, tuple(moves[cell].tolist()), tuple(each.run for each in found),
                tuple(each.event_digest for each in found),
            )
            for cell, found in outcomes.items()
        ),
        effects=tuple(effects),
        forced_volume_share=_mean([each.forced_share[direction] for each in everything]),
        stop_volume_share=_mean([each.stop_share[direction] for each in everything]),
        time_s=tuple(times),
        price_with=tuple(price_with),
        price_without=tuple(price_without),
    )  # fmt: skip


def _all_effects() -> list[tuple[Without, Without]]:
    """Of forced orders and stops: each with and without the other, and both together."""
    forced, stops = ("liquidation",), ("stops",)
    return [(forced, ()), (forced, stops), (stops, ()), (stops, forced), (forced + stops, ())]


def _mean(values: Sequence[float]) -> Estimate:
    return bootstrap(values, "mean")
