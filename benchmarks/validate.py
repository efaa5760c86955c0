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

## Beside your own data

Bands are what the literature says of markets at large. Whether a scenario is like *your* market is asked with your own
prices: candles as an exchange exports them, or any CSV with times and prices (forms and columns: `--format`,
`--time-column`, `--price-column`, `--volume-column`).

```sh
for seed in 1 2 3 4 5 6; do
    marginquake run everyday_market --set duration=4h --set step=1s --seed $seed --no-figures
done
marginquake facts runs/everyday_market-* --against klines.csv --csv beside.csv --figure beside.png
marginquake facts --against klines.csv          # the file alone, against the bands
```

Each fact that prices and volumes can answer is estimated on both sides by the same code, at the bars of the file: a
run is sampled like it, at its last traded price, as candles hold it. A fact that is defined at a finer scale than the
bars is not measured at another; the same estimators at the scale of the bars stand beside, without a band. How
samples, intervals and the difference are made is in [model.md](model.md#stylised-facts). Missing bars, rows given
twice and halts are said, and returns over them left out. The last line says what it comes to. Measured with the six
runs above beside the 34,945 15-min candles of BTCUSDT spot of 2024 (model version 4, 24 h of simulated time):

> 0 of 10 measurable facts agree, 0 differ, 10 cannot be told (about 9 times as much simulated time would settle half
> of them); 17 facts cannot be measured from 15-min bars: give 1-min bars; 7 facts need up to 4.17 days, the runs have
> 24 h together (more seeds, or longer); 2 facts cannot be measured (4 h in one piece hold no return over 24 h); [...]

So a day of simulated time says nothing for or against a scenario beside a year of coarse candles, and the line says
what would: finer candles, and nine times the time.

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
