"""What the fleet does: each job is a function of a seed and an empty folder, and raises when something is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.checkpoint_kills import differences, kill_at_random
from marginquake import explain, load_run
from marginquake.sim.core.outside import disk
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.event_log import OpenLog
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies import run as running
from marginquake.sim.venue.exchange import Exchange
from tests.oracles.exchange_laws import obey
from tests.oracles.naive_exchange import NaiveExchange
from tests.soak.draws import draw_scenario
from tests.soak.folded import assert_events_tell_the_tables
from tests.support.command_line import marginquake
from tests.support.compare_exchanges import assert_twins_agree
from tests.support.faults import commits
from tests.support.faults.disks import Failing
from tests.support.paths import TINY
from tests.support.strategies import long_case
from tests.support.whole_market import digest_elsewhere

READERS: Final = (
    "show", "explain", "liquidations", "clusters", "risk", "replay", "facts", "plot --figure price", "list runs --out",
)  # fmt: skip
"""Commands that read a run."""
REFUSED: Final = "refused"
DONE: Final = "done"
Job = Callable[[int, Path], str]
"""Returns a word for the tally; raises where something is wrong."""


@dataclass(slots=True)
class StopAt:
    """A spectator that ends the run after so many steps."""

    step: int

    def open_log(self, inner: OpenLog) -> OpenLog:
        """As it is."""
        return inner

    def look(self, model: MarketModel) -> None:
        """Ends the run, once."""
        if model.steps_done == self.step:
            raise running.Stopped


def market(seed: int, folder: Path) -> str:
    """A random scenario with all invariants; its events tell its tables; the same again in another way, bit for bit;
    whoever reads it finds his way."""
    draw = Random(seed)
    loaded = drawn(seed, folder)
    if loaded is None:
        return REFUSED
    run = running.run(loaded, seed, folder, "one", check_invariants=True, figures=False).path
    assert_events_tell_the_tables(run)
    again = draw.choice((_plain, _stopped_and_resumed, _with_checkpoints, _replayed))
    again(draw, loaded, seed, run)
    explain(load_run(run))
    if draw.random() < 0.1:
        left_out = running.run(loaded, seed, folder, "one", reuse=True).left_out
        assert not left_out, left_out
    return again.__name__.strip("_")


def drawn(seed: int, folder: Path) -> Scenario | None:
    """A scenario; None if it is refused as it should be, every line with its place."""
    path = folder / f"soak{seed}.yaml"
    path.write_text(draw_scenario(Random(f"scenario {seed}"), seed))
    try:
        return running.load_scenario(path)
    except ScenarioError as error:
        for problem in error.problems:
            assert problem.place.line or problem.place.source, f"a refusal without a place: {problem}"
        return None


def _plain(draw: Random, loaded: Scenario, seed: int, run: Path) -> None:
    _same(run, running.run(loaded, seed, run.parent, "two", figures=False).path)


def _stopped_and_resumed(draw: Random, loaded: Scenario, seed: int, run: Path) -> None:
    steps = (loaded.warmup + loaded.duration) // loaded.step
    try:
        running.run(loaded, seed, run.parent, "two", figures=False, spectator=StopAt(draw.randrange(1, steps)))
    except KeyboardInterrupt:
        _same(run, running.resume("two", run.parent).path)
    else:
        raise AssertionError("nobody stopped the run")


def _with_checkpoints(draw: Random, loaded: Scenario, seed: int, run: Path) -> None:
    _same(run, running.run(loaded, seed, run.parent, "two", figures=False, checkpoint_every="1s").path)


def _replayed(draw: Random, loaded: Scenario, seed: int, run: Path) -> None:
    then, now = running.replay(run)
    assert then == now, f"replayed: {now}, and it was {then}"


def _same(one: Path, other: Path) -> None:
    found = differences(one, other)
    assert not found, f"{one.name} and {other.name} differ: {', '.join(found)}"


def streams(seed: int, folder: Path) -> str:
    """Random orders, marks and engine's work: the kernels, their naive twin, and the laws."""
    draw = Random(seed)
    case = long_case(seed, draw.choice((300, 1_000, 3_000)), inverse=draw.random() < 0.4)
    assert_twins_agree(case, Exchange, NaiveExchange, state_every=100)
    obey(case, check_every=20)
    return DONE


def kills(seed: int, folder: Path) -> str:
    """A checkpointed run killed with -9 at a random moment and resumed: the same as the run that nobody touched."""
    (kill,) = kill_at_random(TINY, 1, "1s", ("record.events=all", "duration=15s"), seed)
    assert not kill.differences, kill.differences
    return "in a checkpoint" if kill.while_writing else DONE


def interpreted(seed: int, folder: Path) -> str:
    """The same scenario without the compiler: every bit as with it."""
    shock = Random(seed).uniform(-0.1, 0.1)
    overrides = (f"seed={seed}", "duration=3s", f"index.shocks=[{{at: 1s, log_return: {shock:.3f}, over: 1s}}]")
    compiled, interpreted = digest_elsewhere({}, *overrides), digest_elsewhere({"NUMBA_DISABLE_JIT": "1"}, *overrides)
    assert compiled == interpreted, (compiled, interpreted)
    return DONE


def faults(seed: int, folder: Path) -> str:
    """A disk that fails at a random call of something written: what stands is whole, and the next command works."""
    draw = Random(seed)
    for number in range(20):
        place = folder / str(number)
        place.mkdir()
        name, fault = draw.choice(list(commits.COMMITS)), draw.choice(("full", "broken", "short"))
        commits.prepare(name, place)
        said = False
        with disk.instead(Failing(draw.randrange(70), fault)):
            try:
                commits.COMMITS[name](place)
            except (OSError, RunDirectoryError, ScenarioError):
                said = True
        commits.assert_whole(name, place, done=not said and name != "clean")
        commits.goes_on(name, place)
    return DONE


def damage(seed: int, folder: Path) -> str:
    """A file of a run, changed: it is found, and nothing that reads the run ends in a traceback."""
    draw = Random(seed)
    run = running.run(TINY, 1, folder, "one", figures=False).path
    file = draw.choice(sorted(path for path in run.rglob("*") if path.is_file()))
    content = bytearray(file.read_bytes())
    kind = draw.choice(("flipped", "cut", "emptied", "missing", "swapped"))
    if kind == "flipped":
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        del content[draw.randrange(len(content)) :]
    elif kind == "emptied":
        content.clear()
    elif kind == "swapped":
        content[:] = draw.choice([path for path in run.rglob("*") if path.is_file() and path != file]).read_bytes()
    if bytes(content) == file.read_bytes() and kind != "missing":
        return "the same"
    if kind == "missing":
        file.unlink()
    else:
        file.write_bytes(content)
    found = marginquake("verify", run)
    assert found.exit_code != 0, f"{file.relative_to(run)} {kind}: verify finds nothing"
    for command in draw.sample(READERS, 3):
        done = marginquake(*command.split(), run)
        said = f"{command}, {file.relative_to(run)} {kind}: {done.output[-300:]}"
        assert done.exit_code in (0, 1, 2), said
        assert "Traceback" not in done.output, said
        assert "failed: " not in done.output, said
    return kind


JOBS: Final[Mapping[str, tuple[Job, float]]] = {
    "market": (market, 0.6),
    "streams": (streams, 0.15),
    "faults": (faults, 0.1),
    "damage": (damage, 0.05),
    "kills": (kills, 0.07),
    "interpreted": (interpreted, 0.03),
}
"""Every job, and its share of the seeds."""


def job_of(seed: int) -> str:
    """Which job a seed stands for."""
    names = list(JOBS)
    return Random(f"job {seed}").choices(names, [JOBS[name][1] for name in names])[0]
