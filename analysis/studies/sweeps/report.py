"""Writes `report.html` of a sweep: one file with everything in it, no request to anywhere."""

import base64
import math
from pathlib import Path
from typing import Any

from marginquake.analysis import formats
from marginquake.analysis.measures.summary_metrics import SummaryMetric
from marginquake.analysis.presentation import theme
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.presentation.page import template
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import bootstrap, wilson
from marginquake.analysis.studies.sweeps.axis_layout import shape
from marginquake.analysis.studies.sweeps.captions import event_words, value_texts
from marginquake.analysis.studies.sweeps.figures import SWEEP_FIGURES, draw_figure, reasons
from marginquake.analysis.studies.sweeps.load import DEFAULT_METRIC, PooledRuns, SweepData, by_point, load_sweep
from marginquake.sim.core.outside.disk import write_whole
from marginquake.sim.core.outside.stored_text import read_json

MOST_ROWS = 1000
"""Points in the table of the report; a larger design says where the others are."""
MOST_FAILURES = 50
TABLE_RESAMPLES = 1000

DESIGNS = {
    "grid": "Grid: every combination of the axes' values",
    "zip": "Zip: the axes move together",
    "list": "List: points written out",
    "latin_hypercube": "Latin hypercube over the ranges of the axes",
    "sobol": "Sobol sequence over the ranges of the axes",
    "compare": "Comparison: every policy on the same seeds",
    "saltelli": "Saltelli's design for Sobol indices, over the ranges of the axes",
}
MADE_BY = ("software_version", "git_commit", "python_version", "platform")
"""Fields of the runs' manifests that the report repeats."""


def write_sweep_report(sweep: str | Path | SweepData, metric: str | None = None) -> Path:
    """Draw the figures again and write `report.html` into a sweep directory; returns its path.

    A figure that fails is left out, with a line in the page and on stderr.
    """
    data = sweep if isinstance(sweep, SweepData) else load_sweep(sweep)
    path = data.path / "report.html"
    content = _content(data, metric or DEFAULT_METRIC)
    write_whole(path, str(template("sweep.html.j2").render(**content)))
    return path


def _content(sweep: SweepData, metric: str) -> dict[str, Any]:
    described, outcomes = sweep.described(metric), by_point(sweep, metric)
    refused = reasons(sweep, metric)
    written = sweep.path / "sweep.yaml"
    figures, left_out = [], LeftOut()
    for name in SWEEP_FIGURES:
        if name not in refused:
            with left_out.unless_it_fails(f"figure {name}"):
                figures.append(_figure(sweep, name, metric))
    left_out.tell()
    unanswered = [refused["sensitivity"]] if sweep.design == "saltelli" and "sensitivity" in refused else []
    return {
        "name": sweep.name.replace("_", " "),
        "question": sweep.question,
        "scenario": sweep.scenario,
        "design": DESIGNS.get(sweep.design, sweep.design),
        "event": event_words(sweep),
        "metric": described.label,
        "tiles": _tiles(sweep, outcomes, described),
        "figures": figures,
        "notes": [*unanswered, *(f"Could not be drawn, {line}" for line in left_out.lines)],
        "axes": _axes(sweep),
        "heads": [axis.label for axis in sweep.axes],
        "median_head": f"median {described.title}",
        "rows": _rows(sweep, outcomes, described),
        "points_left_out": max(len(sweep.points) - MOST_ROWS, 0),
        "failures": sweep.failures[:MOST_FAILURES],
        "failures_left_out": max(len(sweep.failures) - MOST_FAILURES, 0),
        "provenance": _provenance(sweep),
        "sweep_text": written.read_text(encoding="utf-8").rstrip() if written.is_file() else "",
    }


def _tiles(sweep: SweepData, outcomes: dict[int, PooledRuns], described: SummaryMetric) -> list[dict[str, str]]:
    events, medians = int(sweep.table["event"].sum()), [one.median for one in outcomes.values() if one.runs]
    points = formats.plural(len(sweep.points), "point")
    known = [median for median in medians if not math.isnan(median)]
    waiting = sweep.planned - len(sweep) - len(sweep.failures)
    return [
        {
            "label": "Runs finished",
            "value": f"{len(sweep):,}",
            "note": f"of {sweep.planned:,}: {points}, {formats.plural(len(sweep.seeds), 'seed')} each",
        },
        {
            "label": "Failed",
            "value": f"{len(sweep.failures):,}",
            "note": f"{waiting:,} not finished yet" if waiting > 0 else "nothing left to run",
        },
        {
            "label": "Runs with the event",
            "value": formats.percent(events / len(sweep), 0),
            "note": f"{events:,} runs with {event_words(sweep)}",
        },
        {
            "label": f"Median {described.label}",
            "value": f"{described.number(min(known))} to {described.text(max(known))}" if known else "none",
            "note": "from the point with the least to the one with the largest",
        },
    ]


def _figure(sweep: SweepData, name: str, metric: str) -> dict[str, Any]:
    picture = SWEEP_FIGURES[name]
    data = base64.b64encode(draw_figure(sweep, name, metric).read_bytes()).decode("ascii")
    return {
        "title": name,
        "source": f"data:image/png;base64,{data}",
        "caption": picture.caption,
        "width": round(theme.WIDTH_INCHES * theme.DPI),
        "height": round(picture.height_inches(sweep) * theme.DPI),
    }


def _axes(sweep: SweepData) -> list[dict[str, str]]:
    rows = []
    for axis in sweep.axes:
        levels = sweep.levels(axis)
        texts = value_texts(levels)
        numeric = axis in sweep.numeric_axes
        listed = (
            (", " if numeric else "; ").join(texts)
            if len(texts) <= 12
            else f"{len(texts)} values from {texts[0]} to {texts[-1]}"
        )
        if shape(sweep) == "scattered" and axis.low is not None and axis.high is not None:
            low, high = value_texts([axis.low, axis.high])
            listed = f"{len(texts)} values between {low} and {high}"
        rows.append(
            {"label": axis.label, "name": axis.name, "scale": axis.scale if numeric else "words", "values": listed}
        )
    return rows


def _rows(sweep: SweepData, outcomes: dict[int, PooledRuns], described: SummaryMetric) -> list[dict[str, Any]]:
    texts = {
        axis.name: dict(zip(sweep.levels(axis), value_texts(sweep.levels(axis)), strict=True)) for axis in sweep.axes
    }
    rows = []
    for point in sweep.points[:MOST_ROWS]:
        found = outcomes[point.point]
        rows.append(
            {
                "point": point.point,
                "values": [texts[axis.name][point.values[axis.name]] for axis in sweep.axes],
                "runs": f"{found.runs} of {len(sweep.seeds)}",
                "median": _with_interval(bootstrap(found.values, resamples=TABLE_RESAMPLES), described.number),
                "share": _with_interval(wilson(found.events, found.runs), lambda value: f"{value:.2f}"),
            }
        )
    return rows


def _with_interval(found: Estimate, number: Any) -> str:
    if math.isnan(found.value):
        return "none"
    if math.isnan(found.low):
        return str(number(found.value))
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


def _provenance(sweep: SweepData) -> list[tuple[str, str]]:
    lines = [
        ("model version", sweep.model_version),
        ("scenario", sweep.scenario),
        ("design", sweep.design),
        ("seeds", ", ".join(map(str, sweep.seeds))),
        ("directory", sweep.path.name),
    ]
    return lines + [(key.replace("_", " "), text) for key, text in _made_by(sweep).items()]


def _made_by(sweep: SweepData) -> dict[str, str]:
    """What the runs' manifests say of the program; several values where runs differ."""
    seen: dict[str, dict[str, None]] = {key: {} for key in MADE_BY}
    for name in sweep.table["run"].tolist() if "run" in sweep.table else []:
        manifest = sweep.path / "points" / name / "manifest.json"
        if not manifest.is_file():
            continue
        content = read_json(manifest)
        for key in MADE_BY:
            if content.get(key) is not None:
                seen[key][str(content[key])] = None
    return {key: ", ".join(values) for key, values in seen.items() if values}
