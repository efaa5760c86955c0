"""docs/policies.md: every policy of scenarios/policies/ with its verdict over all of its seeds.

`python -m benchmarks.policies [NAME...]` runs what is missing of the policies named (default all) below runs/sweeps/
and writes the document from all that are finished.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from analysis.comparison import load_comparison, to_markdown
from benchmarks.studies.runs import ROOT
from sim import sweep_api
from sim.sweep_directory import is_sweep
from sim.sweep_file import load_comparison as load_file
from sim.version import MODEL_VERSION

FOLDER = ROOT / "scenarios" / "policies"
HEAD = """# Policies

Written by `python -m benchmarks.policies`; do not edit. Each file of
[scenarios/policies](../scenarios/policies/README.md), where the statistics are explained, with its alternatives on the
same seeds: alternative minus baseline, mean over seeds with a 95 % interval.

"""


def run(name: str, out: Path, workers: int) -> None:
    """Make what is missing of one comparison."""
    plan = sweep_api.plan_sweep(load_file(FOLDER / f"{name}.yaml"))
    result = sweep_api.run_sweep(plan, out, workers, resume=True)
    print(f"{name}: {result.made} runs made, {len(result.failures)} failed", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "runs")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "policies.md")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - set(names)
    if unknown:
        parser.error(f"no such policy: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for name in given.names or names:
        run(name, given.out, given.workers)
    finished = [sweep_api.sweep_path(given.out, name) for name in names]
    sections = [to_markdown(load_comparison(path)) for path in finished if is_sweep(path)]
    given.output.write_text(f"{HEAD}Model version {MODEL_VERSION}.\n\n" + "\n".join(sections))
    print(given.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
