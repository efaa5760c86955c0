"""One rule for names: a run is never written over another one unless that is asked for.

The same run (same scenario, model version and seed) may be made again under its name: it holds the same events.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from marginquake.sim.runs import checkpoint, directory, partial_runs
from marginquake.sim.runs.directory import RunDirectoryError

WAY_OUT = "choose another --name, or --replace (in Python replace=True) does away with it"


def check_name(parent: Path, name: str, wanted: Mapping[str, Any], replace: bool) -> None:
    """Refuse, before anything is simulated, a name under which another complete run lies.

    `wanted`: entries `scenario`, `scenario_digest` and `seed` of the manifest to come.
    """
    directory.check_target(parent, name)
    target = parent / name
    if not replace:
        there = directory.manifest_of(target)
        if there is not None and not directory.same_run(there, wanted):
            raise RunDirectoryError(f"{target} holds another run: {_difference(there, wanted)}; {WAY_OUT}")


def check_new(parent: Path, name: str, wanted: Mapping[str, Any], replace: bool, keeps_partial: bool) -> None:
    """`check_name` for a run that begins, and the same of an interrupted run in `<name>.partial`.

    `keeps_partial`: the run may come to lie there itself, so that an interrupted one is in its way even where it is the
    same run.
    """
    check_name(parent, name, wanted, replace)
    waiting = partial_runs.partial_path(parent, name)
    if not os.path.lexists(waiting):
        return
    if partial_runs.is_held(waiting):
        raise RunDirectoryError(f"{waiting}: another process is running it; wait for it, or choose another --name")
    if replace:
        return
    there = _identity_of(waiting)
    if not directory.same_run(there, wanted):
        raise RunDirectoryError(
            f"{waiting} holds another run, interrupted: {_difference(there, wanted)}; `marginquake run --resume "
            f"{quote(str(waiting))}` goes on with it; {WAY_OUT}"
        )
    if keeps_partial:
        partial_runs.check_free(parent, name)


def discard_interrupted(parent: Path, name: str) -> None:
    """Do away with an interrupted run of this name, once it is to be replaced; not while a process is at it."""
    partial_runs.discard(partial_runs.partial_path(parent, name))


def _identity_of(waiting: Path) -> Mapping[str, Any]:
    """What an interrupted run is; nothing where its checkpoint cannot be read."""
    try:
        if (waiting / checkpoint.FILE).exists():
            job = checkpoint.read_job(waiting)
            return {"scenario_digest": job.scenario_digest, "seed": job.seed}
        return directory.read_manifest(waiting)
    except (RunDirectoryError, ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError):
        return {}


def _difference(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """`seed 3 of keep, and this is seed 4`, or how the scenarios differ."""
    if there.get("scenario_digest") == wanted["scenario_digest"]:
        return f"seed {there.get('seed')}, and this is seed {wanted['seed']} of the same scenario"
    return f"{_named(there)}, and this is {_named(wanted)}"


def _named(manifest: Mapping[str, Any]) -> str:
    """`tiny, seed 3 (scenario 12345678)`."""
    name = manifest.get("scenario") or "a scenario"
    return f"{name}, seed {manifest.get('seed')} (scenario {str(manifest.get('scenario_digest'))[:8]})"
