"""The tipping point of a scenario in one parameter, on the sweep engine: where half of all seeds cascade, by bisection
of every seed's threshold, or where any other share of runs does, by probes.

Part of the composition root.  The runs lie in an ordinary sweep directory, so that a second call goes on where the
first one stopped, and `tipping.json` holds the result.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from marginquake.analysis.frames.lookup import starting_fuel
from marginquake.analysis.levels.feedback import crossing, feedback_number
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import wilson
from marginquake.analysis.studies.probing import (
    ProbeSearch,
    clopper_pearson,
    fewest_seeds,
    likely_runs,
    seeds_for,
)
from marginquake.analysis.studies.sweeps.figures import draw_probes, draw_tipping
from marginquake.analysis.studies.tipping import Bisection
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.stored_text import read_json
from marginquake.sim.core.problems import Place, Problem, ScenarioError
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.runs import directory as run_directory
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.sweep_plan import Event, read_plan
from marginquake.sim.scenario.scenario import NOT_OF_THE_MARKET
from marginquake.sim.studies import run as running
from marginquake.sim.studies import sweep as sweeping
from marginquake.sim.studies.design import MOST_SEEDS, EventConfig, Point, Sweep, event_words
from marginquake.sim.studies.quantity import Range
from marginquake.sim.studies.sweep_directory import SweepDirectory, is_event
from marginquake.sim.studies.workers import Farm, SweepProgress, open_farm

SEEDS_AT_A_TIME = 8
ANSWER = "tipping.json"
USUAL_SEEDS = 40
HALF = 0.5
USUAL_WITHIN = 0.1
"""Half-width of the interval of the share that seeds are planned for, or the share itself where that is smaller."""
FUEL_RUNS = 8
"""Seeds of a value whose positions are looked at for where R = 1."""
AN_ODD_PLACE = 0.4372
"""Of the range: values there are neither whole numbers nor whole steps."""
BISECTION: Final = "bisection of every seed's threshold"
PROBES: Final = "probes on the same seeds"
Progress = Callable[[SweepProgress], None]


@final
@dataclass(frozen=True, slots=True)
class TippingQuestion:
    """`low`, `high`: the range; `tolerance`: how wide the interval may be, as a share of it.

    `probability`: the share of runs with the event that is looked for.  `within`: half-width of its interval for which
    seeds are planned; with neither, every seed's threshold is bisected.  `most_seeds`: None: as planned, or 40.
    `range_`: low and high with their unit; None: plain numbers.
    """

    name: str
    scenario: Path
    parameter: str
    low: float
    high: float
    log_scale: bool
    overrides: tuple[str, ...]
    event: EventConfig
    tolerance: float
    most_seeds: int | None
    probability: float = HALF
    within: float | None = None
    range_: Range | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.probability < 1.0:
            raise ValueError(f"probability {self.probability:g}: must be above 0 and below 1, 5% say")
        if self.within is not None and not 0.0 < self.within < 1.0:
            raise ValueError(f"within {self.within:g}: must be above 0 and below 1, 2% say")

    @property
    def range(self) -> Range:
        """Its ends and how values between are written."""
        return self.range_ or Range(self.low, self.high, self.log_scale)

    @property
    def bisects(self) -> bool:
        """True where every seed's own threshold is looked for."""
        return self.probability == HALF and self.within is None

    def point(self, number: int, place: float) -> Point:
        """The parameter at a share of the range."""
        value = self.range.value(place)
        overrides = (*self.overrides, f"{self.parameter}={self.range.written(value)}")
        return Point(number, {"parameter": value}, self.scenario, overrides)


@final
@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What a search by probes will take.  `seeds`: at every value that is not clear before; `half_width`: of the
    interval of the share that they give; `likely`: runs, fewest and most on made-up markets; `most`: runs at worst."""

    seeds: int
    half_width: float
    likely: tuple[int, int]
    most: int


@final
@dataclass(frozen=True, slots=True)
class ValueTried:
    """One value of the parameter: how many of so many runs had the event; the share with its interval."""

    value: float
    events: int
    runs: int
    share: Estimate
    says: str

    @property
    def drawn(self) -> tuple[float, int, int, Estimate]:
        """As figures take it."""
        return self.value, self.events, self.runs, self.share


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
    probability: float
    tried: tuple[ValueTried, ...]


def plan_probes(question: TippingQuestion) -> ProbePlan:
    """How many seeds and runs the interval asked for will take; RunDirectoryError where the seeds allowed can never
    tell."""
    share = question.probability
    within = min(USUAL_WITHIN, share, 1.0 - share) if question.within is None else question.within
    seeds = seeds_for(share, within)
    if question.most_seeds is None and seeds > MOST_SEEDS:
        raise RunDirectoryError(
            f"--within {_percent(within)}: takes {seeds:.3g} seeds at every value, at most {MOST_SEEDS:,}; ask for a "
            "wider one, or say how many with --seeds"
        )
    if question.most_seeds is not None:
        seeds = min(seeds, question.most_seeds)
        if seeds < fewest_seeds(share):
            none = clopper_pearson(0, seeds).high
            raise RunDirectoryError(
                f"--seeds {seeds}: cannot tell a share below {_percent(min(share, 1.0 - share))} from one above: even "
                f"0 of {seeds} runs leaves up to {_percent(none)}; {fewest_seeds(share)} seeds or more"
            )
    found = clopper_pearson(share * seeds, seeds)
    search = ProbeSearch(share, seeds, question.tolerance)
    likely = likely_runs(share, seeds, question.tolerance)
    return ProbePlan(seeds, 0.5 * (found.high - found.low), likely, seeds * search.most_probes())


def settle(question: TippingQuestion) -> TippingQuestion:
    """Check both ends, and put values between on a grid where the field takes whole numbers or whole steps only.

    Raises ScenarioError where an end is wrong, or where the parameter changes nothing.
    """
    keys = [key.strip() for key in question.parameter.split(".")]
    place = Place(f"--parameter {question.parameter}", 0, Path.cwd())
    if keys[0] in NOT_OF_THE_MARKET:
        message = "every value is tried on the same seeds" if keys == ["seed"] else "nothing that happens depends on it"
        raise ScenarioError([Problem(place, "", f"{message}: there is no tipping point in it")])
    ends = [_load(question, end) for end in (0.0, 1.0)]
    if ends[0].digest_as_read(MODEL_VERSION) == ends[1].digest_as_read(MODEL_VERSION):
        raise ScenarioError([Problem(place, "", "the scenario is the same at both ends; something else decides")])
    try:
        _load(question, AN_ODD_PLACE)
    except ScenarioError as error:
        step_s = ends[0].step * 1e-9
        on_grid = replace(question, range_=question.range.on_grid(step_s if question.range.kind == "duration" else 1.0))
        try:
            _load(on_grid, AN_ODD_PLACE)
        except ScenarioError:
            raise error from None
        return on_grid
    return question


def _load(question: TippingQuestion, place: float) -> Any:
    point = question.point(0, place)
    return running.load_scenario(point.scenario, point.overrides)


def check_same_question(question: TippingQuestion, out: Path) -> None:
    """Refuse to write over the answer to another one: it has other ends, another event or another probability."""
    path = sweeping.sweep_path(out, question.name)
    if not (path / ANSWER).is_file():
        return
    way_out = "choose another --name, or --replace (in Python replace_answer=True) writes over it"
    there, asked = read_plan(path).event, Event(**question.event.model_dump())
    if there != asked:
        word, threshold = ("above", there.above) if there.above is not None else ("below", there.below)
        raise RunDirectoryError(f"{path} holds the answer for {there.metric} {word} {threshold:g}; {way_out}")
    probability = read_json(path / ANSWER).get("probability", HALF)
    if probability != question.probability:
        raise RunDirectoryError(f"{path} holds the answer for {_percent(probability)} of runs; {way_out}")
    ends = sweeping.plan_sweep(_sweep(question, (0.0, 1.0), (1,))).runs.values()
    SweepDirectory(path).check_same_study(ends, question.event, whole=False)


def with_free_name(question: TippingQuestion, out: Path) -> TippingQuestion:
    """The question under its name, or where the answer to another one has it, under one that says which it is."""
    try:
        check_same_question(question, out)
    except RunDirectoryError:
        said = (
            question.scenario, question.low, question.high, question.log_scale, question.overrides, question.event,
            question.probability,
        )  # fmt: skip
        digest = hashlib.sha256(repr(said).encode()).hexdigest()[:8]
        return replace(question, name=f"{question.name}-{digest}")
    return question


def _sweep(question: TippingQuestion, places: Sequence[float], seeds: tuple[int, ...]) -> Sweep:
    """The runs of these seeds at these places of the range."""
    axis = {
        "name": "parameter",
        "label": question.parameter,
        "scale": "log" if question.log_scale else "linear",
        "low": question.low,
        "high": question.high,
    }
    points = tuple(question.point(number, place) for number, place in enumerate(places))
    text = json.dumps({"tipping": question.parameter, "scenario": str(question.scenario)}) + "\n"
    words = f"Where does {question.scenario.stem} tip in {question.parameter}?"
    return Sweep(question.name, words, "list", (axis,), points, seeds, question.event, text)


def find_tipping_point(
    question: TippingQuestion,
    out: Path,
    workers: int,
    scheduler: str | None = None,
    progress: Progress | None = None,
    replace_answer: bool = False,
) -> TippingPoint:
    """Search until the interval is narrow enough or the seeds are used up.

    Raises RunDirectoryError where the two ends do not differ, a run fails, or the answer to another question has the
    name, unless `replace_answer`; ScenarioError where a value is wrong.
    """
    question = settle(question)
    if not replace_answer:
        check_same_question(question, out)
    plan = None if question.bisects else plan_probes(question)
    with open_farm(sweeping.run_point, workers, scheduler) as farm:
        runs = _Runs(question, out, farm, progress)
        return _bisect(runs) if plan is None else _probe(runs, plan)


def _bisect(runs: "_Runs") -> TippingPoint:
    """The median of the thresholds of seeds, each bisected; seeds come in eight at a time."""
    question = runs.question
    most = USUAL_SEEDS if question.most_seeds is None else question.most_seeds
    search = Bisection(question.tolerance / 4.0)
    seeds = list(range(1, min(SEEDS_AT_A_TIME, most) + 1))
    runs.learn([(seed, end) for seed in seeds for end in (0.0, 1.0)], search.learn)
    near, far = search.settle_ends(seeds)
    if 2 * min(near, far) > len(seeds) or 2 * max(near, far) < len(seeds):
        low, high = question.range.shown(question.low), question.range.shown(question.high)
        raise RunDirectoryError(
            f"{question.parameter} does not tip between {low} and {high}: "
            f"{near} of {len(seeds)} seeds cascade at the one, {far} at the other; widen --between"
        )
    while True:
        while trials := search.next_trials(seeds):
            runs.learn(trials, search.learn)
        found = search.result(seeds)
        narrow = found.point.high - found.point.low <= question.tolerance
        if narrow or len(seeds) >= most:
            break
        seeds += range(len(seeds) + 1, min(len(seeds) + SEEDS_AT_A_TIME, most) + 1)
    thresholds = _thresholds(search, seeds, question.range)
    point = found.point.through(lambda place: question.range.value(place) if math.isfinite(place) else place)
    tried = []
    for place in runs.places:
        value = question.range.value(place)
        tipped = sum((t <= value) if search.rising else (t >= value) for t in thresholds.values())
        tried.append(ValueTried(value, tipped, len(thresholds), wilson(tipped, len(thresholds)), "by thresholds"))
    result = runs.result(point, found.seeds, found.contrary, narrow, tried)
    method = {"method": BISECTION, "interval_of_shares": "Wilson 95 %", "rising": search.rising}
    runs.write(result, {**method, "thresholds": thresholds})
    left_out = LeftOut()
    with left_out.unless_it_fails("figure tipping"):
        draw_tipping(
            list(thresholds.values()), point, question.parameter, event_words(question.event), question.log_scale,
            runs.figure, result.predicted, [each.drawn for each in result.tried],
        )  # fmt: skip
    left_out.tell()
    return result


def _probe(runs: "_Runs", plan: ProbePlan) -> TippingPoint:
    """Probes until the interval is as narrow as asked, or as the seeds of the plan allow."""
    question = runs.question
    search = ProbeSearch(question.probability, plan.seeds, question.tolerance, question.range.nearest)
    while trials := search.next_trials():
        runs.learn(trials, search.learn)
    found = search.result()
    value = question.range.value
    tried = [ValueTried(value(p.place), p.events, p.runs, p.share, p.says.value) for p in found.probes]
    if found.problem is not None:
        raise RunDirectoryError(_no_crossing(question, found.problem, tried))
    point = found.point.through(lambda place: value(place) if math.isfinite(place) else place)
    narrow = found.point.high - found.point.low <= question.tolerance
    result = runs.result(point, plan.seeds, found.contrary, narrow, tried)
    method = {"method": PROBES, "interval_of_shares": "Clopper-Pearson 95 %", "rising": found.rising}
    runs.write(result, {**method, "thresholds": {}, "within": plan.half_width})
    left_out = LeftOut()
    with left_out.unless_it_fails("figure tipping"):
        draw_probes(
            [each.drawn for each in result.tried], question.probability, point,
            question.parameter, event_words(question.event), question.log_scale, question.range.shown, runs.figure,
        )  # fmt: skip
    left_out.tell()
    return result


def _no_crossing(question: TippingQuestion, problem: str, tried: Sequence[ValueTried]) -> str:
    """Which end to move, from the shares at both."""
    first, last = tried[0], tried[-1]
    shown = question.range.shown
    asked = _percent(question.probability)
    head = (
        f"{question.parameter} does not tip between {shown(question.low)} and {shown(question.high)}: "
        f"{asked} of runs with {event_words(question.event)} is not crossed; "
    )
    if problem.startswith("cannot"):
        ends = f"{_share(first)} at the one end, {_share(last)} at the other"
        return f"{head}{ends}: too few runs to tell either from {asked}; widen --between, or a smaller --within"
    # The end whose share is nearer to the one asked for is the end to move; without a difference, either may be it.
    distance = [abs(each.share.value - question.probability) for each in (first, last)]
    word = "still" if problem.startswith("above") else "only"
    if distance[0] == distance[1]:
        return f"{head}at both ends {word} {_share(first)}: widen --between"
    end, move = (last, "raise") if distance[1] < distance[0] else (first, "lower")
    return f"{head}at {shown(end.value)} {word} {_share(end)}: {move} the end"


def _share(tried: ValueTried) -> str:
    """'12 % [8, 17] (12 of 97 runs)'."""
    low, high = (f"{100.0 * end:.2g}" for end in (tried.share.low, tried.share.high))
    return f"{_percent(tried.share.value)} [{low}, {high}] ({tried.events} of {tried.runs} runs)"


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


def _thresholds(search: Bisection, seeds: Sequence[int], range_: Range) -> Mapping[int, float]:
    """Every seed's threshold in units of the parameter; infinite beyond the range, contrary seeds left out."""
    found = {}
    for seed in seeds:
        bracket = search.bracket(seed)
        if bracket is None:
            continue
        middle = 0.5 * (bracket[0] + bracket[1]) if all(map(math.isfinite, bracket)) else bracket[0] + bracket[1]
        place = middle if search.rising else 1.0 - middle
        found[seed] = range_.value(place) if math.isfinite(place) else place
    return found


@final
class _Runs:
    """Runs of a search, in its sweep directory."""

    def __init__(self, question: TippingQuestion, out: Path, farm: Farm, progress: Progress | None) -> None:
        self.question = question
        self.places: list[float] = []
        self._out = out
        self._farm = farm
        self._progress = progress
        self._known: sweeping.Known = {}
        self._tried: dict[tuple[int, float], str] = {}
        self._path = sweeping.sweep_path(out, question.name)

    def learn(self, trials: Sequence[tuple[int, float]], tell: Callable[[int, float, bool], None]) -> None:
        """Run these seeds at these places, unless they are there already, and tell what came out."""
        self.places += [p for p in dict.fromkeys(place for _, place in trials) if p not in self.places]
        seeds = tuple(sorted({seed for seed, _ in [*trials, *self._tried]}))
        plan = sweeping.plan_sweep(_sweep(self.question, self.places, seeds), self._known)
        numbers = {place: number for number, place in enumerate(self.places)}
        keys = [(numbers[place], seed) for seed, place in trials]
        directory = SweepDirectory(self._path)
        todo = [key for key in keys if not directory.holds(plan.runs[key])]
        result = sweeping.make(plan, self._out, todo, self._farm, self._progress)
        if result.failures:
            failure = result.failures[0]
            raise RunDirectoryError(f"{result.path}: seed {failure.seed} failed: {failure.error}")
        for (seed, place), key in zip(trials, keys, strict=True):
            run = plan.runs[key]
            self._tried[seed, place] = run
            tell(seed, place, is_event(run_directory.read_summary(directory.points / run), self.question.event))

    def result(
        self, point: Estimate, seeds: int, contrary: int, narrow: bool, tried: Sequence[ValueTried]
    ) -> TippingPoint:
        """What was found, and beside it where R = 1."""
        ordered = tuple(sorted(tried, key=lambda each: each.value))
        return TippingPoint(
            self._path, point, seeds, contrary, len(self._tried), narrow, self._predicted, self.question.probability,
            ordered,
        )  # fmt: skip

    @property
    def figure(self) -> Path:
        """Where the picture goes."""
        disk.make_folders(self._path / "figures")
        return self._path / "figures" / "tipping.png"

    def write(self, found: TippingPoint, more: Mapping[str, Any]) -> None:
        """tipping.json."""
        question = self.question
        facts: dict[str, Any] = {
            "parameter": question.parameter,
            "between": [question.low, question.high],
            "probability": question.probability,
            "estimate": found.point.value,
            "interval": [found.point.low, found.point.high],
            "seeds": found.seeds,
            "contrary_seeds": found.contrary,
            "runs": found.runs,
            "narrow_enough": found.narrow,
            "event": question.event.model_dump(exclude_none=True),
            "feedback_number_is_1_at": found.predicted,
            "probes": [
                {
                    "value": each.value,
                    "events": each.events,
                    "runs": each.runs,
                    "share": each.share.value,
                    "interval": [each.share.low, each.share.high],
                    "says": each.says,
                }
                for each in found.tried
            ],
            **more,
        }
        plain = json.loads(json.dumps(facts), parse_constant=lambda _: None)
        disk.write_whole(self._path / ANSWER, json.dumps(plain, indent=2) + "\n")

    @cached_property
    def _predicted(self) -> float:
        """Where R = 1 by the positions and the book before the event, from the runs that were made."""
        numbers: dict[float, list[float]] = {}
        for (_, place), run in self._tried.items():
            known = numbers.setdefault(self.question.range.value(place), [])
            if self.question.bisects or len(known) < FUEL_RUNS:
                known.append(feedback_number(*starting_fuel(self._path / "points" / run)))
        values = np.array(list(numbers))
        return crossing(values, np.array([float(np.median(each)) for each in numbers.values()]))
