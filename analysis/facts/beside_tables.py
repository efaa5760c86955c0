"""Runs beside a real price series as text: table, CSV, and the sentences that say what it comes to."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from marginquake.analysis.facts.beside import FEW, BesideRow, Side, SideEstimate, half_width, tells
from marginquake.analysis.facts.fact import targets
from marginquake.analysis.facts.prices import time_text
from marginquake.analysis.facts.score_rows import UNBOUNDED
from marginquake.analysis.statistics.intervals import LEAST_VALUES
from marginquake.sim.core.outside.edges import csv_text

NAMES_SHOWN = 8
MOST_TIMES = 100
"""Nobody simulates more than so many times as much."""


def headings(rows: Sequence[BesideRow]) -> tuple[str, ...]:
    """Of the table; a file alone has no runs and no difference."""
    if rows and rows[0].runs is None:
        return ("id", "fact", "file [95 %]", "band", "grade, source", "verdict")
    return ("id", "fact", "runs [95 %]", "file [95 %]", "difference [95 %]", "band", "verdict")


def cells_of(row: BesideRow) -> tuple[str, ...]:
    """A row as text, under its headings."""
    fact, target = row.fact, targets().get(row.fact.target or "")
    if row.runs is None:
        source = f"{target.grade}, {target.source}" if target else ""
        return (fact.id, fact.label, _side_text(row, row.file), _band(row), source, _alone_text(row))
    return (
        fact.id, fact.label, _side_text(row, row.runs), _side_text(row, row.file),
        _with_interval(row.difference.value, row.difference.low, row.difference.high), _band(row), _verdict_text(row),
    )  # fmt: skip


def _side_text(row: BesideRow, side: SideEstimate) -> str:
    unit = f" {row.fact.unit}" if row.fact.unit else ""
    return _with_interval(side.found.value, side.found.low, side.found.high, unit)


def _with_interval(value: float, low: float, high: float, unit: str = "") -> str:
    if math.isnan(value):
        return "n.a."
    return f"{_short(value)}{unit}" + (f" [{_short(low)}, {_short(high)}]" if math.isfinite(low) else "")


def _short(value: float) -> str:
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _band(row: BesideRow) -> str:
    lo, hi = row.band
    if math.isnan(lo):
        return ""
    if row.fact.magnitude:
        return f"|.| < {hi:g}"
    return f"> {lo:g}" if hi > UNBOUNDED else f"{lo:g} to {hi:g}"


def _verdict_text(row: BesideRow) -> str:
    if row.verdict == "n.a.":
        return f"n.a.: {why_not(row)}"
    if row.verdict == "cannot tell":
        return "cannot tell: " + ("too wide" if row.difference.has_interval else "no interval")
    return row.verdict


def _alone_text(row: BesideRow) -> str:
    if row.verdict == "n.a.":
        return f"n.a.: {row.file.reason}"
    inside = row.in_band(row.file)
    return "no band" if inside is None else "in band" if inside else "out of band"


def why_not(row: BesideRow) -> str:
    """Which side could not answer, and why."""
    ours, real = row.runs, row.file
    if ours is None or not ours.reason:
        return f"file: {real.reason}"
    if not real.reason:
        return f"runs: {ours.reason}"
    return real.reason if ours.reason == real.reason else f"file: {real.reason}; runs: {ours.reason}"


def details(rows: Sequence[BesideRow], runs: Side | None) -> list[str]:
    """Lines that name the facts that the summary counts."""
    said = []
    if runs is None:
        outside = [row for row in rows if row.in_band(row.file) is False]
        said += [f"Out of band: {_names(outside)}."] if outside else []
    else:
        differ = [f"{row.fact.label} ({_pair(row)})" for row in rows if row.verdict == "differ"]
        said += [f"Differ: {'; '.join(differ)}."] if differ else []
        unknown = [row for row in rows if row.verdict == "cannot tell"]
        said += [f"Cannot tell: {_names(unknown)}."] if unknown else []
    coarse = [row for row in rows if _is_coarse(row)]
    said += [f"Too coarse bars for: {_names(coarse)}."] if coarse else []
    short = [row for row in rows if not _is_coarse(row) and _needs(row, runs is not None)[1] == "more"]
    return said + ([f"Too little for: {_names(short)}."] if short else [])


def summary(rows: Sequence[BesideRow], runs: Side | None, file: Side, facts_of_books: int) -> str:
    """One sentence: what the table comes to, and what would make the rest measurable."""
    measured = [row for row in rows if row.verdict != "n.a."]
    if runs is None:
        judged = [inside for row in measured if (inside := row.in_band(row.file)) is not None]
        said = [f"{_facts(len(measured))} measured, {sum(judged)} of {len(judged)} that have a band are in it"]
    else:
        counts = Counter(row.verdict for row in measured)
        said = [
            f"{counts['agree']} of {_facts(len(measured), 'measurable fact')} agree, "
            f"{counts['differ']} differ{'s' * (counts['differ'] == 1)}"
        ]
        if counts["cannot tell"]:
            said[0] += f", {counts['cannot tell']} cannot be told{_what_would_tell(measured)}"
    silent = [row for row in rows if row.verdict == "n.a."]
    coarse = [row for row in silent if _is_coarse(row)]
    if coarse:
        bars, needed = (
            time_text(seconds).replace(" ", "-")
            for seconds in (file.series[0].bar_s, min(row.file.needs_bar_s for row in coarse))
        )
        said.append(f"{_facts(len(coarse))} cannot be measured from {bars} bars: give {needed} bars")
    rest = [row for row in silent if row not in coarse]
    said += _more_time(rest, runs, file)
    other = Counter(why for row in rest for why, what in [_needs(row, runs is not None)] if what == "other")
    said += [f"{_facts(count)} cannot be measured ({why})" for why, count in other.items()]
    said.append(
        f"{_facts(facts_of_books)} of the scoreboard are of book, orders or positions, which no price file holds"
    )
    return "; ".join(said) + "."


def _what_would_tell(measured: Sequence[BesideRow]) -> str:
    """Whose interval is too wide, and how much more of it would settle half of these facts."""
    unknown = [row for row in measured if row.verdict == "cannot tell"]
    more: dict[str, list[float]] = {"runs": [], "file": []}
    for row in unknown:
        if row.runs is None or row.fact.of_prices is None or not row.difference.has_interval:
            continue
        whose = "runs" if half_width(row.runs.found) >= half_width(row.file.found) else "file"
        excess = half_width(row.difference) / tells(row.fact.of_prices, row.file.found)
        more[whose].append(excess**2)
    if not any(more.values()):
        return ": there is no interval (five seeds or a longer record give one)"
    whose = max(more, key=lambda side: len(more[side]))
    times = sorted(more[whose])[(len(more[whose]) - 1) // 2]
    what = "as much simulated time" if whose == "runs" else "as long a file"
    if not math.isfinite(times) or times > MOST_TIMES:
        return f" (the intervals of the {whose} are too wide)"
    return f" (about {max(math.ceil(times), 2)} times {what} would settle half of them)"


def _more_time(rows: Sequence[BesideRow], runs: Side | None, file: Side) -> list[str]:
    """The side that holds less is the one that has to grow."""
    short = [row for row in rows if _needs(row, runs is not None)[1] == "more"]
    if not short:
        return []
    side = file if runs is None or file.duration_s < runs.duration_s else runs
    needs = [_estimate(row, side).needs_s for row in short]
    most = max((seconds for seconds in needs if math.isfinite(seconds)), default=math.nan)
    has = f"the file has {time_text(file.duration_s)}"
    if side is runs:
        has = f"the runs have {time_text(side.duration_s)} together (more seeds, or longer)"
    enough = "more time" if math.isnan(most) else f"up to {time_text(most)}"
    return [f"{_facts(len(short))} need{'s' if len(short) == 1 else ''} {enough}, {has}"]


def _is_coarse(row: BesideRow) -> bool:
    return row.verdict == "n.a." and math.isfinite(row.file.needs_bar_s)


def _needs(row: BesideRow, has_runs: bool) -> tuple[str, Literal["more", "other", ""]]:
    """Why a fact is not there, and whether more data would help."""
    if row.verdict != "n.a.":
        return "", ""
    sides = [row.file, *([row.runs] if has_runs and row.runs is not None else [])]
    return why_not(row), "more" if any(math.isfinite(side.needs_s) for side in sides) else "other"


def _estimate(row: BesideRow, side: Side) -> SideEstimate:
    return row.file if side.name == "file" or row.runs is None else row.runs


def _facts(count: int, what: str = "fact") -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _names(rows: Sequence[BesideRow]) -> str:
    names = [row.fact.label for row in rows]
    rest = len(names) - NAMES_SHOWN
    return "; ".join(names if rest <= 1 else [*names[:NAMES_SHOWN], f"{rest} more"])


def _pair(row: BesideRow) -> str:
    ours = math.nan if row.runs is None else row.runs.found.value
    return f"{_short(ours)} against {_short(row.file.found.value)}"


def remarks(runs: Side | None, file: Side) -> list[str]:
    """How the two were laid side by side."""
    bar_s = file.series[0].bar_s
    said = [f"file: {file.series[0].steps + 1:,} bars of {time_text(bar_s)}, {time_text(file.duration_s)}"]
    if runs is not None:
        many = f"{len(runs.series)} runs" if len(runs.series) > 1 else "run"
        said.append(
            f"{many}: {time_text(runs.duration_s)}, last traded price sampled every {time_text(bar_s)} like the file, "
            "all data in one estimate"
        )
        for side in (runs, file):
            if len(side.samples) > 1:
                other = "runs" if side.name == "file" else "file"
                said.append(
                    f"{side.name}: median over {len(side.samples)} samples of {time_text(side.sample_s)}, as much as "
                    f"the {other} hold{'s' if other == 'file' else ''}: kurtosis and its like grow with the length"
                )
        return [*said, _over(runs, file), _over(file, runs)]
    return [*said, _over(file, None)]


def _over(side: Side, other: Side | None) -> str:
    if len(side.samples) > 1:
        return f"{side.name}: intervals over samples (bootstrap, neighbours in blocks)"
    over_seeds = side.name == "runs" and len(side.series) >= LEAST_VALUES
    how = "seeds (bootstrap)" if over_seeds else "time (bootstrap of blocks)"
    stray = ""
    if other is not None and len(other.samples) > 1 and len(side.series) < FEW:
        stray = f", at least as far as samples of the {'file' if other.name == 'file' else 'runs'} stray"
    return f"{side.name}: intervals over {how}{stray}"


def to_csv(rows: Sequence[BesideRow]) -> str:
    """The table with full precision."""
    sides = [f"{side}{end}" for side in ("runs", "file") for end in ("", "_low", "_high", "_over", "_reason")]
    table: list[list[object]] = [
        [
            "id",
            "label",
            "unit",
            *sides,
            "difference",
            "difference_low",
            "difference_high",
            "overlap",
            "lo",
            "hi",
            "grade",
            "source",
            "runs_in_band",
            "file_in_band",
            "verdict",
        ]
    ]
    for row in rows:
        cells: list[object] = [row.fact.id, row.fact.label, row.fact.unit]
        for side in (row.runs or SideEstimate(), row.file):
            cells += [*side.found, side.over, side.reason]
        target = targets().get(row.fact.target or "")
        in_band = [None if side is None else row.in_band(side) for side in (row.runs, row.file)]
        both = row.runs is not None and row.difference.has_interval
        cells += [*row.difference, row.overlap if both else None, *row.band]
        cells += [target.grade if target else "", target.source if target else "", *in_band, row.verdict]
        table.append(["" if cell is None or cell != cell else cell for cell in cells])
    return csv_text(table)
