"""The composition root: from a scenario file to a run directory.  Only this and `sim.cli` see everything."""

import gc
import logging
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import mesa

from agents import AGENT_TYPES
from sim import run_directory, scenario
from sim.event_log import MemoryLog, NoLog, OpenLog, ParquetLog
from sim.model import MarketModel
from sim.run_directory import RunData, Scalar
from sim.scenario import Scenario
from sim.version import MODEL_VERSION, __version__

LOG = logging.getLogger("marginquake")

PROGRESS_EVERY_S = 0.2
"""Wall time between two reports of progress, seconds."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a running simulation stands.  `simulated_s`: seconds since the end of warm-up, negative before."""

    step: int
    steps_total: int
    simulated_s: float
    events: int
    open_interest: float
    margin_calls: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run lies, and its flat summary.  `reused`: it was there already and nothing was simulated."""

    path: Path
    summary: Mapping[str, Scalar]
    reused: bool = False


class ReplayMismatch(RuntimeError):
    """A run, done again, did not give the same events."""


ProgressCallback = Callable[[RunProgress], None]


def load_scenario(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read one YAML scenario, with `path.to.field=value` overrides; raises `ScenarioError` with every problem found."""
    return scenario.load_scenario(Path(path), AGENT_TYPES, overrides)


def run(
    scenario_or_path: Scenario | str | Path,
    seed: int | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    reuse: bool = False,
    check_invariants: bool = False,
    progress: ProgressCallback | None = None,
    figures: bool = True,
) -> RunResult:
    """Simulate one scenario and write its run directory, complete or not at all.

    `seed`: instead of the scenario's.  `name`: the directory's name; default `<scenario>-<hash8>-s<seed>`.
    `reuse`: return a complete run of the same scenario, model and seed if it is there.  `check_invariants`: check
    conservation and the book after every step (slow).  `figures`: draw the pictures and the report.
    """
    loaded = scenario_or_path if isinstance(scenario_or_path, Scenario) else load_scenario(scenario_or_path)
    seed = loaded.seed if seed is None else seed
    digest = loaded.digest(MODEL_VERSION)
    parent = Path(out)
    name = run_directory.run_name(loaded.name, digest, seed) if name is None else name
    run_directory.check_target(parent, name)
    run_directory.sweep_leftovers(parent)
    if reuse and _holds(parent / name, digest, seed):
        LOG.info("reusing %s", parent / name)
        return RunResult(parent / name, run_directory.read_summary(parent / name), reused=True)

    with run_directory.new_run(parent, name) as folder:
        started = time.perf_counter()
        data = simulate(loaded, seed, check_invariants, progress, partial(ParquetLog, folder / "events"))
        wall = time.perf_counter() - started
        steps = data.summary["steps"]
        assert isinstance(steps, int)
        data = replace(data, summary={**data.summary, "wall_seconds": wall, "steps_per_second": steps / wall})
        manifest = {**provenance(), **_identity(loaded, digest, seed), "wall_seconds": wall}
        manifest["event_digest"] = data.summary["event_digest"]
        path = run_directory.write_run(folder, data, loaded, manifest, name, _draw if figures else None)
    LOG.info("wrote %s", path)
    return RunResult(path, run_directory.read_summary(path))


def simulate(
    loaded: Scenario,
    seed: int,
    check_invariants: bool = False,
    progress: ProgressCallback | None = None,
    open_log: OpenLog = MemoryLog,
) -> RunData:
    """Run the model to its end; nothing is written but by the logs of events."""
    LOG.info("building %s, seed %d", loaded.name, seed)
    model = MarketModel(loaded, AGENT_TYPES, seed, check_invariants, open_log)
    LOG.info("simulating %d steps", model.steps_total)
    try:
        due = time.perf_counter()
        for done in range(1, model.steps_total + 1):
            model.step()
            now = time.perf_counter()
            if progress is not None and (now >= due or done == model.steps_total):
                due = now + PROGRESS_EVERY_S
                progress(_progress(model, done))
        LOG.info("simulated to the end")
        return model.finish()
    finally:
        release(model)


def replay(path: Path, progress: ProgressCallback | None = None) -> tuple[str, str]:
    """Run a run again from its resolved scenario; returns the recorded event digest and the new one."""
    manifest = run_directory.read_manifest(path)
    loaded = load_scenario(path / "scenario.resolved.yaml")
    again = simulate(loaded, int(manifest["seed"]), progress=progress, open_log=NoLog)
    return str(manifest["event_digest"]), str(again.summary["event_digest"])


def release(model: mesa.Model) -> None:
    """Let a finished model go.  Mesa 3.3 keeps every model alive as a key of `Agent._ids`."""
    model.remove_all_agents()
    ids = getattr(mesa.Agent, "_ids", None)
    if isinstance(ids, dict):
        ids.pop(model, None)
    gc.collect()


def provenance() -> dict[str, Any]:
    """What would be needed to make the same run again: program, packages, platform, commit, command."""
    packages = ("numpy", "numba", "mesa", "pyarrow", "pydantic")
    return {
        "software": "marginquake",
        "software_version": __version__,
        "model_version": MODEL_VERSION,
        "python_version": platform.python_version(),
        "packages": {package: metadata.version(package) for package in packages},
        "platform": platform.platform(),
        "git_commit": _git_commit(),
        "command": sys.argv,
        "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _identity(loaded: Scenario, digest: str, seed: int) -> dict[str, Any]:
    return {
        "scenario": loaded.name,
        "scenario_digest": digest,
        "seed": seed,
        "overrides": list(loaded.overrides),
        "markets": [market.name for market in loaded.markets],
    }


def _holds(path: Path, digest: str, seed: int) -> bool:
    """True if `path` is a complete run of exactly this scenario, model and seed."""
    if not run_directory.is_complete(path):
        return False
    manifest = run_directory.read_manifest(path)
    return manifest.get("scenario_digest") == digest and manifest.get("seed") == seed


def _draw(path: Path) -> None:
    from analysis.plots import plot_run
    from analysis.report import write_report

    LOG.info("drawing figures")
    plot_run(path)
    write_report(path)


def _progress(model: MarketModel, done: int) -> RunProgress:
    seen = model.recorder.progress()
    return RunProgress(
        step=done,
        steps_total=model.steps_total,
        simulated_s=model.now_ns / 1e9,
        events=seen.events,
        open_interest=seen.open_interest,
        margin_calls=seen.margin_calls,
    )


def _git_commit() -> str | None:
    """Commit of the checkout that holds this file; `+` if it has changes; None outside of git."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
