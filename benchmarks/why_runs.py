"""The runs that docs/why.md reports under "Risk numbers" and "Early warning", made once and kept.

`python -m benchmarks.why_runs --out DIR` makes what is missing; benchmarks.why_figures
reads them.  A run that is there already is taken as it is.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.studies.runs import OFF, ROOT, SCENARIOS

OUT = ROOT / "runs" / "why"

HOUR = (
    "index.shocks=[]",
    "index.fundamental.volatility=90%",
    "duration=1h",
    "warmup=5min",
    "step=1s",
    "record.events=liquidations",
    "record.map_every=1min",
    "record.positions_every=10min",
)
"""The crowded longs without a declared fall: an hour of a wild market, which may or may not reach them."""
SHIPPED = ("step=200ms", "record.events=liquidations")
"""As shipped, with a fall of 1.3 % declared, at coarser steps."""
UNSHOCKED = (
    "duration=8h",
    "warmup=10min",
    "index.shocks=[]",
    "index.fundamental.volatility=80%",
    "index.fundamental.stochastic_volatility.deviation=0.7",
    "index.fundamental.jumps={per_day: 12, deviation: 0.8%}",
    "fuel_ratio=1.2",
    "record.map_every=1min",
    "record.series_every=5s",
    "record.positions_every=5min",
    "populations.retail.entry_time=1h",
    "populations.retail.reentry_time=30min",
)
"""A crowd that levers up again and again, jumps and calm and wild hours; no fall is declared."""


@dataclass(frozen=True)
class Case:
    """One scenario with overrides; a folder of its own below `--out`."""

    name: str
    scenario: str
    overrides: tuple[str, ...]
    seeds: int = 20


CASES = {
    case.name: case
    for case in (
        Case("clustered", "long_squeeze.yaml", HOUR),
        Case("clustered_twin", "long_squeeze.yaml", (*HOUR, OFF)),
        Case("dispersed", "dispersed_control.yaml", HOUR),
        Case("dispersed_twin", "dispersed_control.yaml", (*HOUR, OFF)),
        Case("clustered_fall", "long_squeeze.yaml", SHIPPED, 8),
        Case("clustered_fall_twin", "long_squeeze.yaml", (*SHIPPED, OFF), 8),
        Case("dispersed_fall", "dispersed_control.yaml", SHIPPED, 8),
        Case("dispersed_fall_twin", "dispersed_control.yaml", (*SHIPPED, OFF), 8),
        Case("warning", "re_leveraging_cycle.yaml", UNSHOCKED),
    )
}


def make(case: Case, seed: int, out: Path) -> Path:
    """Run one seed of a case, unless it is there."""
    from marginquake.sim.studies import run as running

    loaded = running.load_scenario(SCENARIOS / case.scenario, case.overrides)
    return running.run(loaded, seed, out / case.name, reuse=True, figures=False).path


def make_all(names: Sequence[str], seeds: int | None, out: Path, workers: int) -> dict[str, list[Path]]:
    """Every run of the cases named, in order of seeds."""
    jobs = [(CASES[name], seed) for name in names for seed in range(1, 1 + (seeds or CASES[name].seeds))]
    jobs.sort(key=lambda job: job[1])
    made: dict[str, list[Path]] = {name: [] for name in names}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [(case.name, pool.submit(make, case, seed, out)) for case, seed in jobs]
        for name, one in waiting:
            made[name].append(one.result())
            print(f"{name}: {made[name][-1]}", flush=True)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--seeds", type=int, help="1 to so many; default as the document reports")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    if unknown := set(given.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    make_all(given.cases or list(CASES), given.seeds, given.out, given.workers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
