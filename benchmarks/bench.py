"""Every benchmark in turn: `python -m benchmarks.bench [NAME...] [--repeat 5]`, or `make bench`.

Each module runs in a process of its own, so that none warms another.  Its rows and the machine's facts are saved as
runs/bench/<name>.json, and its table is put between its markers in docs/performance.md; what is written around the
markers stays.  Exit status 1 if a benchmark failed.
"""

import argparse
import importlib
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row, missing

MODULES = {
    "book": ("benchmarks.book", "The book and the whole event path"),
    "peers": ("benchmarks.peers.books", "Beside order books from PyPI, stream A"),
    "margin_index": ("benchmarks.margin_index", "Margin calls: bucket index beside a scan of all accounts"),
    "scaling": ("benchmarks.scaling", "Cost of a step and memory at 10^4, 10^5, 10^6 accounts"),
    "million": ("benchmarks.million", "A million accounts, one simulated hour"),
    "mesa_objects": ("benchmarks.mesa_objects", "Array participants beside one Mesa object a trader"),
    "pams": ("benchmarks.pams", "A whole simulation beside PAMS"),
    "scenarios": ("benchmarks.scenarios", "The shipped scenarios"),
    "memory": ("benchmarks.memory", "Memory over a long run"),
    "checkpoint_kills": ("benchmarks.checkpoint_kills", "Killed and resumed"),
    "workers": ("benchmarks.workers", "Two workers beside one"),
    "startup": ("benchmarks.startup", "Time to the first result"),
}
"""Name on the command line: (module with `measure(repeat)`, heading)."""

RESULTS = Path("runs/bench")
PAGE = Path("docs/performance.md")
HEADINGS = ("", "measured", "floor", "stretch", "", "")


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is named, or everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODULES))
    parser.add_argument("--repeat", type=int, default=5, help="medians of so many runs")
    parser.add_argument("--output", type=Path, default=PAGE, help="page whose marked tables are written anew")
    parser.add_argument("--measure", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in MODULES]
    if unknown:
        parser.error(f"{unknown[0]}: no such benchmark; there are {', '.join(MODULES)}")
    if arguments.repeat < 1:
        parser.error("--repeat: at least 1")
    if arguments.measure is not None:
        _measure_here(arguments.names[0], arguments.repeat, arguments.measure)
        return
    failed = []
    for name in arguments.names or MODULES:
        result = run_module(name, arguments.repeat)
        show(result)
        if arguments.output.is_file():
            put_between_markers(arguments.output, name, as_markdown(result))
        if result["failed"]:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        raise SystemExit(1)


def run_module(name: str, repeat: int) -> dict[str, Any]:
    """One benchmark in its own process; its result is also saved below runs/bench."""
    module, title = MODULES[name]
    RESULTS.mkdir(parents=True, exist_ok=True)
    scratch = RESULTS / f".tmp-{name}.json"
    scratch.unlink(missing_ok=True)
    facts = machine_facts()
    started = time.perf_counter()
    failed = False
    if importlib.util.find_spec(module) is None:
        rows, failed = [missing(title, f"there is no module {module}")], True
    else:
        command = [sys.executable, "-m", "benchmarks.bench", name, "--repeat", str(repeat), "--measure", str(scratch)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.stderr.write(done.stderr)
            said = done.stderr.strip().splitlines()
            rows = [missing(title, f"failed: {said[-1] if said else f'exit status {done.returncode}'}")]
            failed = True
        else:
            rows = [_row_from(values) for values in json.loads(scratch.read_text(encoding="utf-8"))]
            scratch.unlink()
    result = {
        "name": name,
        "title": title,
        "repeat": repeat,
        "wall_seconds": time.perf_counter() - started,
        "machine": facts,
        "failed": failed,
        "rows": [_row_to(row) for row in rows],
    }
    text = json.dumps(result, indent=2) + "\n"
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(RESULTS / f"{name}.json")
    return result


def machine_facts() -> dict[str, Any]:
    """What the figures depend on, and how busy the machine was when they were taken."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: metadata.version(package) for package in ("numpy", "numba", "mesa", "pyarrow")},
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def show(result: dict[str, Any]) -> None:
    """The table on stdout."""
    table = Table(title=result["title"], title_justify="left", box=None, pad_edge=False)
    for heading, justify in zip(HEADINGS, ("left", "right", "right", "right", "left", "left"), strict=True):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for values in result["rows"]:
        table.add_row(*cells(_row_from(values)))
    console = Console(highlight=False)
    (console if console.is_terminal else Console(width=200, highlight=False)).print(table)
    print(f"{_conditions(result)}\n", flush=True)


def as_markdown(result: dict[str, Any]) -> str:
    """The table as Markdown, with the conditions below."""
    lines = ["| | measured | floor | stretch | | |", "|---|---:|---:|---:|---|---|"]
    lines += ["| " + " | ".join(cells(_row_from(values))) + " |" for values in result["rows"]]
    return "\n".join([*lines, "", f"*{_conditions(result)}*"])


def cells(row: Row) -> tuple[str, ...]:
    """Name, value with unit, targets, verdict, note."""
    value = "-" if math.isnan(row.value) else f"{figure(row.value)} {row.unit}".rstrip()
    sign = "<= " if row.less_is_better else ""
    floor, stretch = ("" if limit is None else sign + figure(limit) for limit in (row.floor, row.stretch))
    return row.name, value, floor, stretch, row.verdict, row.note


def figure(value: float) -> str:
    """Three digits that count, thousands with commas."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return (
        f"{value:,.{digits}f}"
        if abs(value) < 1000
        else f"{round(value, -(math.floor(math.log10(abs(value))) - 2)):,.0f}"
    )


def put_between_markers(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`; the rest of the page stays."""
    old = page.read_text(encoding="utf-8")
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(end) < old.index(begin):
        raise SystemExit(f"{page}: needs the markers {begin} and {end} once each, in this order")
    head, rest = old.split(begin)
    tail = rest.split(end)[1]
    scratch = page.with_name(f".tmp-{page.name}")
    scratch.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")
    scratch.replace(page)


def _measure_here(name: str, repeat: int, into: Path) -> None:
    """In the child: the rows of one module as JSON."""
    rows = importlib.import_module(MODULES[name][0]).measure(repeat)
    into.write_text(json.dumps([_row_to(row) for row in rows]), encoding="utf-8")


def _row_to(row: Row) -> dict[str, Any]:
    return {**asdict(row), "value": None if math.isnan(row.value) else row.value, "verdict": row.verdict}


def _row_from(values: dict[str, Any]) -> Row:
    given = {key: value for key, value in values.items() if key != "verdict"}
    return Row(**{**given, "value": math.nan if given["value"] is None else given["value"]})


def _conditions(result: dict[str, Any]) -> str:
    machine = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['utc']}, {machine['cpu']}, {machine['cores']} cores, load {machine['load_average'][0]}, "
        f"Python {machine['python']}, {packages}; medians of {result['repeat']}; {result['wall_seconds']:.0f} s"
    )


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
