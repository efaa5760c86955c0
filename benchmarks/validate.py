"""`make validate`: seeded studies in full; writes docs/validation.md.

Each claim of the README about what a scenario does is a row there: what was run, on which seeds, what came out.
`--only NAME` runs some of the studies and replaces their sections only; `--again` writes them from the runs that an
earlier call has kept.
"""

import argparse
import pickle
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.studies.ablations import ABLATION
from benchmarks.studies.dispersion import DISPERSION
from benchmarks.studies.everyday import EVERYDAY
from benchmarks.studies.runs import ROOT, Scale, Section, Study, run_study
from benchmarks.studies.shipped import CALM, CRASH, SQUEEZE
from benchmarks.studies.stress import STRESS

STUDIES: Mapping[str, Study] = {
    "calm": CALM,
    "squeeze": SQUEEZE,
    "crash": CRASH,
    "dispersion": DISPERSION,
    "stress": STRESS,
    "everyday": EVERYDAY,
    "ablations": ABLATION,
}

HEAD = """# Validation

Written by `make validate`; do not edit. Falls are of the last price from its running peak. Square brackets hold the
least and the largest over seeds, or, where it says so, the 95 % interval over seeds (docs/intervals.md).

"""
MARKER = re.compile(r"^<!-- study: (?P<name>\w+) -->$", re.MULTILINE)


def sections_of(text: str) -> dict[str, str]:
    """The sections of a validation document by the name of their study."""
    marks = list(MARKER.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]
    return {mark["name"]: text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}


def compose(sections: Mapping[str, str]) -> str:
    """The document, studies in the order of `STUDIES`."""
    known = [name for name in STUDIES if name in sections]
    return HEAD + "\n".join(f"<!-- study: {name} -->\n{sections[name]}\n" for name in known)


def write(name: str, section: Section, path: Path, origin: str) -> None:
    """Put one study's section into the document, leaving the others as they are."""
    old = sections_of(path.read_text()) if path.exists() else {}
    old[name] = f"## {STUDIES[name].title}\n\n_{origin}_\n\n{section.text.strip()}\n"
    path.write_text(compose(old))
    for file, figure in section.figures.items():
        (path.parent / "images").mkdir(exist_ok=True)
        figure.savefig(path.parent / "images" / file, dpi=110)


def commit() -> str:
    """The commit of this tree, for the record."""
    found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(STUDIES), default=list(STUDIES), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--few-seeds", type=int, default=4, help="for studies of long runs or many cells")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="write the sections from runs kept by an earlier call")
    parser.add_argument("--kept", type=Path, default=ROOT / "runs" / "validation", help="folder of kept runs")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "validation.md")
    given = parser.parse_args(arguments)
    scale = Scale(tuple(range(1, given.seeds + 1)), tuple(range(1, given.few_seeds + 1)))
    good = True
    for name in given.only:
        kept = given.kept / f"{name}.pickle"
        if given.again:
            runs, scale, origin = pickle.loads(kept.read_bytes())
        else:
            started = time.perf_counter()
            runs = run_study(STUDIES[name], scale, given.workers)
            seconds = time.perf_counter() - started
            origin = f"{len(runs)} runs, {seconds:.0f} s on {given.workers} workers, at {commit()}"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(pickle.dumps((runs, scale, origin)))
        section = STUDIES[name].report(runs, scale)
        write(name, section, given.output, origin)
        print(f"## {STUDIES[name].title}\n\n{section.text}\n{origin}; wrote {given.output}", flush=True)
        good &= section.good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
