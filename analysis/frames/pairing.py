"""Which runs are twins of each other, and why two are not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.sim.runs.directory import RunDirectoryError


def sells_by_force(run: RunFrames) -> bool:
    """True where the liquidation engine is on, in the first market."""
    scenario: Any = run.scenario
    first = next(iter((scenario.get("markets") or {"": scenario}).values()))
    return bool((first.get("liquidation") or {}).get("enabled", True))


def check_one_scenario(runs: Sequence[RunFrames]) -> None:
    """Refuse runs of different scenarios, and a seed that is there twice: seeds are the independent units."""
    if not runs:
        raise RunDirectoryError("no runs were given")
    seen: dict[str, RunFrames] = {}
    digest = runs[0].manifest.get("scenario_digest")
    for run in runs:
        if run.manifest.get("scenario_digest") != digest:
            raise RunDirectoryError(
                f"{run.path}: is of another scenario than {runs[0].path}; give the runs of one scenario, a seed each"
            )
        if run.seed in seen:
            raise RunDirectoryError(f"{run.path}: has seed {run.seed}, as {seen[run.seed].path}; a seed counts once")
        seen[run.seed] = run


def pair_with_twins(runs: Sequence[RunFrames]) -> list[tuple[RunFrames, RunFrames | None]]:
    """Every run with its twin without forced sales, None where that is not among them, by order of `runs`.

    Runs with `liquidation.enabled: false` are the twins; where all are, they are the runs.
    """
    own = [run for run in runs if sells_by_force(run)]
    twins = [run for run in runs if not sells_by_force(run)]
    if not own:
        own, twins = twins, []
    check_one_scenario(own)
    if twins:
        check_one_scenario(twins)
    by_seed = {twin.seed: twin for twin in twins}
    for seed in by_seed.keys() - {run.seed for run in own}:
        raise RunDirectoryError(f"{by_seed[seed].path}: is the twin of seed {seed}, and no run of that seed was given")
    pairs: list[tuple[RunFrames, RunFrames | None]] = []
    for run in own:
        twin = by_seed.get(run.seed)
        if twin is not None and (why := not_twins(run, twin)):
            raise RunDirectoryError(f"{run.path} and {twin.path} are no twins: {why}")
        pairs.append((run, twin))
    return pairs


UNIMPORTANT = ("name", "question", "description", "seed", "record")
"""Fields of a resolved scenario that change nothing that happens; the seed is compared by itself."""


def not_twins(first: RunFrames, second: RunFrames) -> str | None:
    """Why the difference of two runs is not what forced orders did; None if it is.

    Twins have everything in common but `liquidation.enabled`, which is false in the second, and what is recorded.
    """
    if first.seed != second.seed:
        return f"their seeds are {first.seed} and {second.seed}"
    ours, theirs = dict(_leaves(first.scenario, ())), dict(_leaves(second.scenario, ()))
    for path in sorted(ours.keys() | theirs.keys(), key=str):
        if path[-2:] == ("liquidation", "enabled"):
            if theirs.get(path) is not False:
                return "liquidation.enabled is not false in the second"
        elif path[0] not in UNIMPORTANT and ours.get(path) != theirs.get(path):
            return f"{'.'.join(path)} is {ours.get(path)!r} in one and {theirs.get(path)!r} in the other"
    return None


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a resolved scenario with its path."""
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, Mapping):
        pairs = node.items()
    elif isinstance(node, list | tuple):
        pairs = enumerate(node)
    else:
        yield path, node
    for key, child in pairs:
        yield from _leaves(child, (*path, str(key)))
