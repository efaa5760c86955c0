"""Documents made of the comparisons of a folder: what is missing is run, all that are finished are written down."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.studies.runs import ROOT
from marginquake.analysis.studies.comparison import Comparison, load_comparison
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.runs.sweep_plan import is_sweep
from marginquake.sim.studies import sweep as sweeping
from marginquake.sim.studies.design import load_comparison as load_file


def document(
    folder: Path,
    output: str,
    head: str,
    description: str | None,
    section: Callable[[Comparison, Path], str],
    names: Sequence[str] = (),
    arguments: Sequence[str] | None = None,
) -> int:
    """The command line of such a document: `[NAME...] [--seeds N]`, names default to all files of the folder.

    `section`: what is said of one comparison, given where the document's images lie.
    """
    names = names or sorted(path.stem for path in folder.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--seeds", type=int, default=None, help="seeds 1 to this instead of the files'")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "runs")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / output)
    given = parser.parse_args(arguments)
    unknown = set(given.names) - set(names)
    if unknown:
        parser.error(f"no such comparison: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for name in given.names or names:
        plan = sweeping.plan_sweep(load_file(folder / f"{name}.yaml", given.seeds))
        result = sweeping.run_sweep(plan, given.out, given.workers, resume=True, replace=True)
        print(f"{name}: {result.made} runs made, {len(result.failures)} failed", flush=True)
    finished = [sweeping.sweep_path(given.out, name) for name in names]
    images = given.output.parent / "images"
    sections = [section(load_comparison(path), images) for path in finished if is_sweep(path)]
    given.output.write_text(f"{head}Model version {MODEL_VERSION}.\n\n" + "\n".join(sections), encoding="utf-8")
    print(given.output)
    return 0
