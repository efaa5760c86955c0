"""The tipping point of a scenario in one parameter: bisection of every seed's threshold, on the sweep engine.

Part of the composition root.  The runs lie in an ordinary sweep directory, so that a second call goes on where the
first one stopped, and `tipping.json` holds the result.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from marginquake.analysis.frames.lookup import starting_fuel
from marginquake.analysis.levels.feedback import crossing, feedback_number
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.studies.sweeps.figures import draw_tipping
from marginquake.analysis.studies.tipping import Bisection, Tipping
from marginquake.sim.runs import directory as run_directory
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.sweep_plan import Event, is_sweep, read_plan
from marginquake.sim.studies import sweep as sweeping
from marginquake.sim.studies.design import EventConfig, Point, Sweep
from marginquake.sim.studies.sweep_directory import SweepDirectory, is_event
from marginquake.sim.studies.workers import Farm, SweepProgress, open_farm

SEEDS_AT_A_TIME = 8
ANSWER = "tipping.json"
Progress = Callable[[SweepProgress], None]


@final
@dataclass(frozen=True, slots=True)
class TippingQuestion:
    """`low`, `high`: the range; `tolerance`: how wide the interval may be, as a share of it."""

    name: str
    scenario: Path
    parameter: str
    low: float
    high: float
    log_scale: bool
    overrides: tuple[str, ...]
    event: EventConfig
    tolerance: float
    most_seeds: int

    def value(self, place: float) -> float:
        """The parameter at a share of the range."""
        if self.log_scale:
            return float(f"{self.low * (self.high / self.low) ** place:.8g}")
        return float(f"{self.low + (self.high - self.low) * place:.8g}")


@final
@dataclass(frozen=True, slots=True)
class TippingPoint:
    """In units of the parameter; ends are infinite where the range does not hold them."""

    path: Path
    point: Estimate
    seeds: int
    contrary: int
    runs: int
    narrow: bool
    predicted: float


def with_free_name(question: TippingQuestion, out: Path) -> TippingQuestion:
    """The question under its name, or where the answer to another one has it, under one that says which it is."""
    try:
        _Search(question, out).check_same_question()
    except RunDirectoryError:
        said = (question.scenario, question.low, question.high, question.log_scale, question.overrides, question.event)
        digest = hashlib.sha256(repr(said).encode()).hexdigest()[:8]
        return replace(question, name=f"{question.name}-{digest}")
    return question


def find_tipping_point(
    question: TippingQuestion,
    out: Path,
    workers: int,
    scheduler: str | None = None,
    progress: Progress | None = None,
    replace: bool = False,
) -> TippingPoint:
    """Bisect until the interval is narrow enough or the seeds are used up.

    Raises RunDirectoryError where the two ends do not differ, a run fails, or the results of another question have the
    name, unless `replace`.
    """
    search = _Search(question, out)
    if not replace:
        search.check_same_question()
    with open_farm(sweeping.run_point, workers, scheduler) as farm:
        seeds = list(range(1, min(SEEDS_AT_A_TIME, question.most_seeds) + 1))
        search.learn([(seed, end) for seed in seeds for end in (0.0, 1.0)], farm, progress)
        near, far = search.bisection.settle_ends(seeds)
        if 2 * min(near, far) > len(seeds) or 2 * max(near, far) < len(seeds):
            raise RunDirectoryError(
                f"{question.parameter} does not tip between {question.low:g} and {question.high:g}: "
                f"{near} of {len(seeds)} seeds cascade at the one, {far} at the other; widen --between"
            )
        while True:
            while trials := search.bisection.next_trials(seeds):
                search.learn(trials, farm, progress)
            found = search.bisection.result(seeds)
            narrow = found.point.high - found.point.low <= question.tolerance
            if narrow or len(seeds) >= question.most_seeds:
                return search.conclude(found, narrow, seeds)
            seeds += range(len(seeds) + 1, min(len(seeds) + SEEDS_AT_A_TIME, question.most_seeds) + 1)


@final
class _Search:
    """What has been tried so far."""

    def __init__(self, question: TippingQuestion, out: Path) -> None:
        self.bisection = Bisection(question.tolerance / 4.0)
        self._question = question
        self._out = out
        self._known: sweeping.Known = {}
        self._places: list[float] = []
        self._tried: dict[tuple[int, float], str] = {}
        self._path = sweeping.sweep_path(out, question.name)

    def check_same_question(self) -> None:
        """Refuse to write over the answer to another one: it has other ends, or another event."""
        if not (self._path / ANSWER).is_file():
            return
        self._places = [0.0, 1.0]
        plan = sweeping.plan_sweep(self._sweep((1,)), self._known)
        directory = SweepDirectory(self._path)
        directory.check_same_study(plan.runs.values(), self._question.event, whole=False)
        if is_sweep(self._path) and (there := read_plan(self._path).event) != Event(
            **self._question.event.model_dump()
        ):
            raise RunDirectoryError(
                f"{self._path} holds the answer for {there.metric} above {there.above:g}; choose another --name, or "
                "--replace (in Python replace=True) writes over it"
            )

    def learn(self, trials: list[tuple[int, float]], farm: Farm, progress: Progress | None) -> None:
        """Run these seeds at these places, unless they are there already, and take note of what came out."""
        self._places += [p for p in dict.fromkeys(place for _, place in trials) if p not in self._places]
        seeds = tuple(sorted({seed for seed, _ in [*trials, *self._tried]}))
        plan = sweeping.plan_sweep(self._sweep(seeds), self._known)
        numbers = {place: number for number, place in enumerate(self._places)}
        keys = [(numbers[place], seed) for seed, place in trials]
        directory = SweepDirectory(self._path)
        todo = [key for key in keys if not directory.holds(plan.runs[key])]
        result = sweeping.make(plan, self._out, todo, farm, progress)
        if result.failures:
            failure = result.failures[0]
            raise RunDirectoryError(f"{result.path}: seed {failure.seed} failed: {failure.error}")
        for (seed, place), key in zip(trials, keys, strict=True):
            run = plan.runs[key]
            self._tried[seed, place] = run
            self.bisection.learn(
                seed, place, is_event(run_directory.read_summary(directory.points / run), self._question.event)
            )

    def _sweep(self, seeds: tuple[int, ...]) -> Sweep:
        question = self._question
        points = []
        for number, place in enumerate(self._places):
            value = question.value(place)
            overrides = (*question.overrides, f"{question.parameter}={value:.12g}")
            points.append(Point(number, {"parameter": value}, question.scenario, overrides))
        axis = {
            "name": "parameter",
            "label": question.parameter,
            "scale": "log" if question.log_scale else "linear",
            "low": question.low,
            "high": question.high,
        }
        text = json.dumps({"tipping": question.parameter, "scenario": str(question.scenario)}) + "\n"
        words = f"Where does {question.scenario.stem} tip in {question.parameter}?"
        return Sweep(question.name, words, "list", (axis,), tuple(points), seeds, question.event, text)

    def conclude(self, found: Tipping, narrow: bool, seeds: list[int]) -> TippingPoint:
        """Write tipping.json and the figure."""
        question = self._question

        def real(place: float) -> float:
            return question.value(place) if math.isfinite(place) else place

        point = found.point.through(real)
        predicted = self._predicted()
        thresholds = self._thresholds(seeds)
        facts: dict[str, Any] = {
            "parameter": question.parameter,
            "between": [question.low, question.high],
            "estimate": point.value,
            "interval": [point.low, point.high],
            "seeds": found.seeds,
            "contrary_seeds": found.contrary,
            "runs": len(self._tried),
            "narrow_enough": narrow,
            "event": question.event.model_dump(),
            "feedback_number_is_1_at": predicted,
            "thresholds": {str(seed): value for seed, value in thresholds.items()},
        }
        plain = json.loads(json.dumps(facts), parse_constant=lambda _: None)
        (self._path / ANSWER).write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
        event = f"{question.event.metric} above {question.event.above:g}"
        values = list(thresholds.values())
        (self._path / "figures").mkdir(exist_ok=True)
        left_out = LeftOut()
        with left_out.unless_it_fails("figure tipping"):
            draw_tipping(
                values,
                point,
                question.parameter,
                event,
                question.log_scale,
                self._path / "figures" / "tipping.png",
                predicted,
            )
        left_out.tell()
        return TippingPoint(self._path, point, found.seeds, found.contrary, len(self._tried), narrow, predicted)

    def _thresholds(self, seeds: list[int]) -> Mapping[int, float]:
        """Every seed's threshold in units of the parameter; infinite beyond the range, contrary seeds left out."""
        found = {}
        for seed in seeds:
            bracket = self.bisection.bracket(seed)
            if bracket is None:
                continue
            middle = 0.5 * (bracket[0] + bracket[1]) if all(map(math.isfinite, bracket)) else bracket[0] + bracket[1]
            place = middle if self.bisection.rising else 1.0 - middle
            found[seed] = self._question.value(place) if math.isfinite(place) else place
        return found

    def _predicted(self) -> float:
        """Where R = 1 by the positions and the book before the event, from the runs that were made."""
        numbers: dict[float, list[float]] = {}
        for (_, place), run in self._tried.items():
            numbers.setdefault(self._question.value(place), []).append(
                feedback_number(*starting_fuel(self._path / "points" / run))
            )
        values = np.array(list(numbers))
        return crossing(values, np.array([float(np.median(each)) for each in numbers.values()]))
