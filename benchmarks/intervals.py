"""What the product's 95 % intervals cover, by simulation: `python -m benchmarks.intervals [--repetitions 3000]`.

Writes the tables of docs/intervals.md between their markers, by the functions that the product calls: intervals over
seeds, the interval beside a verdict, and the Hawkes estimate of an outsider with its test of fit.
"""

import argparse
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from benchmarks.studies.runs import ROOT
from marginquake.analysis.causes import hawkes
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import bootstrap, interval_over_seeds, wilson
from marginquake.analysis.statistics.paired import paired, sign_flip_p_value
from marginquake.sim.core.typing import Floats

PAGE: Final = ROOT / "docs" / "intervals.md"
COUNTS: Final = (5, 8, 12, 20, 30)
Draw = Callable[[np.random.Generator, int], Floats]
LAWS: Final[Mapping[str, tuple[Draw, float, float]]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 0.0, 0.0),
    "skewed: exponential": (lambda rng, n: rng.exponential(size=n), 1.0, math.log(2.0)),
    "skewed: lognormal, σ 1": (lambda rng, n: rng.lognormal(size=n), math.exp(0.5), 1.0),
    "heavy: Student, 3 d.f.": (lambda rng, n: rng.standard_t(3, n), 0.0, 0.0),
    "discrete: Poisson, mean 2": (lambda rng, n: rng.poisson(2.0, n).astype(np.float64), 2.0, 2.0),
    "rare: 0 in 70 %, else exponential": (lambda rng, n: (rng.random(n) < 0.3) * rng.exponential(size=n), 0.3, 0.0),
}
"""How values of a seed are distributed: draws, mean, median."""
STREAMS: Final = ((0.0, 0.0), (0.3, 5.0), (0.5, 5.0), (0.5, 50.0), (0.8, 5.0))
"""Branching ratio and decay in seconds."""
EVENTS: Final = (20, 60, 100, 200, 400, 1000)
RATE: Final = 0.3
"""Events a second."""


def share(hits: Iterator[bool]) -> float:
    """Share of the repetitions that are hits."""
    return float(np.mean(list(hits)))


def holds(found: Estimate, truth: float) -> bool:
    """Does the interval hold the truth?"""
    return found.low <= truth <= found.high


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines)


def over_seeds(repetitions: int) -> str:
    """Coverage of means, medians and ratios."""
    rows = []
    for name, (draw, mean, median) in LAWS.items():
        for what, truth in (("mean", mean), ("median", median)):
            cells = []
            for count in COUNTS:
                rng = np.random.default_rng(count)
                values = (draw(rng, count) for _ in range(repetitions))
                cells.append(share(holds(bootstrap(each, what), truth) for each in values))  # type: ignore[arg-type]
            rows.append([what, name, *(f"{each:.3f}" for each in cells)])
    cells = [share(_ratio(np.random.default_rng([count, k]), count) for k in range(repetitions)) for count in COUNTS]
    rows.append(["ratio of means", "normal ratios, paired", *(f"{each:.3f}" for each in cells)])
    return table(("of", "values of a seed", *(f"n = {count}" for count in COUNTS)), rows)


def _ratio(rng: np.random.Generator, count: int) -> bool:
    below = rng.uniform(1.0, 3.0, count)
    above = below * rng.normal(2.0, 0.5, count)
    ends = interval_over_seeds(count, lambda picks: above[picks].sum(axis=1) / below[picks].sum(axis=1))
    return ends[0] <= 2.0 <= ends[1]


def beside_a_verdict(repetitions: int) -> str:
    """Where there is no difference: how often the sign-flip test says there is, and how often 0 is left out."""
    rows = []
    for name, (draw, mean, _) in LAWS.items():
        cells = []
        for count in COUNTS:
            rng = np.random.default_rng(100 + count)
            values = [draw(rng, count) - mean for _ in range(repetitions)]
            tested = share(sign_flip_p_value(each) < 0.05 for each in values)
            found = (paired(np.zeros(count), each) for each in values)
            cells.append(f"{tested:.3f}, {share(each is not None and each.excludes_zero for each in found):.3f}")
        rows.append([name, *cells])
    return table(("differences of a seed", *(f"n = {count}" for count in COUNTS)), rows)


def shares(repetitions: int) -> str:
    """Coverage of Wilson's interval, exactly: the binomial is summed, nothing is drawn."""
    from scipy.stats import binom

    del repetitions
    rows = []
    for chance in (0.02, 0.05, 0.1, 0.3, 0.5):
        cells = []
        for count in (*COUNTS, 100):
            inside = [k for k in range(count + 1) if holds(wilson(k, count), chance)]
            cells.append(f"{float(binom.pmf(inside, count, chance).sum()):.3f}")
        rows.append([f"{chance:g}", *cells])
    return table(("true share", *(f"n = {count}" for count in (*COUNTS, 100))), rows)


def stream(rng: np.random.Generator, branching: float, decay_s: float, length_s: float) -> Floats:
    """A Hawkes process of `RATE` by its family tree: immigrants, and Poisson(branching) children at random delays."""
    waiting = rng.uniform(0, length_s, rng.poisson(RATE * (1.0 - branching) * length_s)).tolist()
    times: list[float] = []
    while waiting:
        time = waiting.pop()
        times.append(time)
        children = time + rng.exponential(decay_s, rng.poisson(branching)) if decay_s else np.zeros(0)
        waiting += children[children < length_s].tolist()
    return np.sort(times)


def outsiders(repetitions: int) -> str:
    """The Hawkes estimate on streams of known branching, on a clock of one second."""
    rows = []
    for branching, decay_s in STREAMS:
        for events in EVENTS:
            length_s = events / RATE
            found = []
            for number in range(repetitions):
                rng = np.random.default_rng([number, events, round(1000 * branching), round(decay_s)])
                times = np.ceil(stream(rng, branching, decay_s, length_s))
                found.append(_estimate(times, math.ceil(length_s)))
            known = [each for each in found if each is not None]
            value = np.array([each.hawkes.value for each in known])
            low = np.array([each.hawkes.low for each in known])
            high = np.array([each.hawkes.high for each in known])
            fit_p = np.array([each.fit_p for each in known])
            rows.append([
                f"{branching:g}" + (f", {decay_s:g} s" if decay_s else ""), str(events), f"{np.median(value):.2f}",
                f"{np.mean(value > 0.1):.2f}", f"{np.mean((low <= branching) & (branching <= high)):.2f}",
                f"{np.mean(low > 0.0):.2f}", f"{np.median(high - low):.2f}", f"{np.mean(fit_p < 0.05):.2f}",
            ])  # fmt: skip
    head = (
        "branching, decay",
        "events",
        "estimate",
        "above .1",
        "interval holds it",
        "leaves 0 out",
        "width",
        "p < .05",
    )
    return table(head, rows)


def _estimate(times: Floats, length_s: float) -> hawkes.Outsider | None:
    """Also of streams below `LEAST_EVENTS`, since what they would give is the question."""
    if len(times) < 5:
        return None
    times = hawkes._spread(times, 1.0) + 1.0
    best, kernels = hawkes._best(times, length_s + 1.0)
    return hawkes.Outsider(hawkes._interval(best, kernels), 1.0 / best.beta, hawkes._fit_p(best), {}, len(times))


TABLES: Final[Mapping[str, tuple[Callable[[int], str], int]]] = {
    "seeds": (over_seeds, 1),
    "verdict": (beside_a_verdict, 1),
    "shares": (shares, 1),
    "hawkes": (outsiders, 15),
}
"""What makes a table, and by how much it takes fewer repetitions."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, and put the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3000)
    parser.add_argument("--only", choices=list(TABLES), action="append")
    asked = parser.parse_args(arguments)
    text = PAGE.read_text(encoding="utf-8")
    for name in asked.only or TABLES:
        make, fewer = TABLES[name]
        repetitions = max(1, asked.repetitions // fewer)
        made = f"<!-- table: {name} -->\n{make(repetitions)}\n<!-- end -->"
        text, count = re.subn(rf"<!-- table: {name} -->.*?<!-- end -->", lambda _, m=made: m, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE}: no place for the table {name}")
        print(f"{name}: {repetitions} repetitions")
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
