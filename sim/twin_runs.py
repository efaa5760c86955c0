"""Make the runs that a study of twins needs: here or on workers, each with what makes it again in its manifest.

Part of the composition root, as `sim.api` is.
"""

import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

from sim import api, run_directory
from sim.scenario import Scenario
from sim.sweep import Task, open_farm
from sim.sweep_directory import pack, unpack
from sim.twin_directory import twin_name, twin_of
from sim.version import MODEL_VERSION


@final
@dataclass(frozen=True, slots=True)
class TwinOrder:
    """A run to be made: the resolved scenario in the folder of the run `base`, with fields changed, and a seed.

    `without`: what those fields switch off.  `base_digest`: of the run's scenario.
    """

    base: Path
    base_digest: str
    without: tuple[str, ...]
    overrides: tuple[str, ...]
    seed: int
    name: str

    @property
    def file(self) -> Path:
        """The scenario that overrides are laid over."""
        return self.base / "scenario.resolved.yaml"

    @property
    def command(self) -> tuple[str, ...]:
        """What makes the same events by hand, in an ordinary run below runs/."""
        fields = (word for override in self.overrides for word in ("--set", override))
        return "marginquake", "run", str(self.file), "--seed", str(self.seed), *fields


def order_for(base: Path, base_digest: str, without: Sequence[str], scenario: Scenario, seed: int) -> TwinOrder:
    """The order for a scenario that was loaded from the run's resolved one."""
    name = twin_name(scenario.name, without, scenario.digest(MODEL_VERSION), seed)
    return TwinOrder(base, base_digest, tuple(without), scenario.overrides, seed, name)


def make(order: TwinOrder, folder: Path) -> Path:
    """Run it and write it below `folder`; returns its path."""
    scenario = api.load_scenario(order.file, order.overrides)
    expected = twin_name(scenario.name, order.without, scenario.digest(MODEL_VERSION), order.seed)
    if expected != order.name:
        raise RuntimeError(
            f"{shlex.join(order.command)} would make {expected}, not {order.name}: a file of the run, or one that its "
            "scenario names, has changed meanwhile"
        )
    return api.run(
        scenario,
        order.seed,
        out=folder,
        name=order.name,
        figures=False,
        command=order.command,
        twin_of=twin_of(order.base.name, order.base_digest, order.without),
    ).path


def make_all(orders: Mapping[str, TwinOrder], folder: Path, workers: int, tell: Callable[[], None]) -> None:
    """Make all of these, by name; `tell` is called after each.  Whatever finishes is kept, whatever fails."""
    if min(workers, len(orders)) <= 1:
        for order in orders.values():
            make(order, folder)
            tell()
        return
    folder.mkdir(parents=True, exist_ok=True)
    run_directory.sweep_leftovers(folder)
    failed: list[str] = []
    tasks = [Task(0, order.seed, name, order.file.read_text(encoding="utf-8")) for name, order in orders.items()]
    with open_farm(partial(_packed, dict(orders)), min(workers, len(tasks))) as farm:
        for task, packed in farm.results(tasks):
            if isinstance(packed, bytes):
                unpack(packed, folder / task.run)
            else:
                failed.append(f"{task.run}: {packed}")
            tell()
    if failed:
        raise RuntimeError("; ".join(failed))


def _packed(orders: Mapping[str, TwinOrder], text: str, run: str, seed: int) -> bytes:
    """On a worker: make the order of that name and send it back."""
    with tempfile.TemporaryDirectory(prefix="marginquake-") as folder:
        return pack(make(orders[run], Path(folder) / "runs"))
