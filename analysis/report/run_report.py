"""Writes `report.html`: one file with everything in it, no request to anywhere, at a desk and on a phone.

What the sections show is in `analysis.report.sections`, how they look in `templates/report.html.j2`, how charts are
drawn in
`templates/*.js`; uPlot (MIT) is vendored in `templates/vendor`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.analysis.measures.scorecard import headline_rows
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.presentation.page import TEMPLATES, template
from marginquake.analysis.report import palette
from marginquake.analysis.report.pictures import stills
from marginquake.analysis.report.sections import SECTIONS
from marginquake.analysis.report.thinning import detail
from marginquake.analysis.report.time_chart import extent
from marginquake.sim.core.outside.disk import write_whole

MOST_BYTES = 4_800_000
"""A page larger than this leaves its still figures where they lie and names them, then draws its charts less finely."""
DETAILS = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""Shares of the usual number of points, tried in this order."""

SCRIPTS = (
    "vendor/uPlot.iife.min.js", "page.js", "group.js", "keys.js", "panels.js", "heat.js", "bars.js", "icicle.js",
    "levels.js", "start.js",
)  # fmt: skip
"""In the order in which they are run."""


def write_report(run: str | Path | RunFrames, left_out: LeftOut | None = None) -> Path:
    """Write `report.html` into a run directory and return its path.

    A section or figure that fails is left out: the page says so, and stderr (or `left_out`, which may hold figures
    that failed before).
    """
    frames = run if isinstance(run, RunFrames) else load_run(run)
    path = frames.path / "report.html"
    failed = LeftOut() if left_out is None else left_out
    write_whole(path, render_report(frames, failed))
    if left_out is None:
        failed.tell()
    return path


def render_report(frames: RunFrames, left_out: LeftOut | None = None) -> str:
    """The page as text; figures that are missing in `figures/` are drawn.  `left_out`: as in `write_report`.

    Where it would be too large, it is drawn less finely, and says so; where it is too large all the same, it says that.
    """
    left_out = LeftOut() if left_out is None else left_out
    page = template("report.html.j2")
    pictures = _stills(frames, True, left_out)
    content = _content(frames, left_out)
    text = str(page.render(**content, stills=pictures))
    named = _stills(frames, False, left_out) if _too_large(text) else []
    for share in DETAILS:
        if not _too_large(text):
            break
        if share < 1:
            with detail(share):
                content = _content(frames, left_out)
        note = (
            f"To stay small enough to be mailed, its charts have {share:.3g} of the usual points." if share < 1 else ""
        )
        text = str(page.render(**content, stills=named, size=note))
    if _too_large(text):
        megabytes = len(text) / 1e6
        note = (
            f"This page is large ({megabytes:.1f} MB), although its charts have {DETAILS[-1]:.3g} of the usual points."
        )
        text = str(page.render(**content, stills=named, size=note))
    return text


def _too_large(text: str) -> bool:
    return len(text) > MOST_BYTES


def _content(frames: RunFrames, left_out: LeftOut) -> dict[str, Any]:
    markets = [_market(frames, market, position, left_out) for position, market in enumerate(frames.markets.values())]
    seconds = float(frames.first.run["time_s"][-1])
    return {
        "name": _title(frames.name),
        "question": frames.question,
        "seed": frames.seed,
        "length": formats.clock(seconds),
        "markets": markets,
        "warnings": [str(each["text"]) for each in frames.manifest.get("warnings", ())],
        "left_out": left_out.lines,
        "provenance": _provenance(frames.manifest),
        "scenario_text": frames.scenario_text.rstrip(),
        "palette": palette.css(),
        "styles": [_text("page.css"), _text("vendor/uPlot.min.css"), _text("report.css")],
        "scripts": [_text(name) for name in SCRIPTS],
        "licence": _text("vendor/uPlot.LICENSE").strip(),
    }


def _title(name: str) -> str:
    """Words of a scenario's name; a date in it stays one."""
    return re.sub(r"\b(\d{4}) (\d\d) (\d\d)\b", r"\1-\2-\3", name.replace("_", " "))


def _market(frames: RunFrames, market: MarketFrames, position: int, left_out: LeftOut) -> dict[str, Any]:
    several = f" of {market.name}" if len(frames.markets) > 1 else ""
    sections = []
    for section in SECTIONS:
        with left_out.unless_it_fails(f"section {section.title}{several}"):
            if section.applies(frames, market):
                content = section.content(frames, market)
                sections.append({"name": section.name, "title": section.title, "content": content})
    from_s, to_s = extent(market.run)
    return {
        "name": market.name,
        "id": f"market{position}",  # a market's name may hold what no id may
        "from_s": from_s,
        "to_s": to_s,
        "tiles": _tiles(frames, market),
        "sections": sections,
    }


def _stills(frames: RunFrames, embedded: bool, left_out: LeftOut) -> list[Any]:
    return [
        still
        for position, market in enumerate(frames.markets.values())
        for still in stills(frames, market, position, embedded, left_out)
    ]


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _tiles(frames: RunFrames, market: MarketFrames) -> list[Any]:
    return headline_rows(frames.summary, market.name)


def _provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The manifest as flat lines; an empty list or null says 'none'."""
    lines: list[tuple[str, str]] = []
    for key, value in manifest.items():
        if key == "warnings":  # they have a section
            continue
        if isinstance(value, Mapping):
            text = ", ".join(f"{name} {part}" for name, part in value.items())
        elif isinstance(value, list):
            text = " ".join(str(part) for part in value)
        elif isinstance(value, float):
            text = f"{value:.3g}"
        else:
            text = "" if value is None else str(value)
        lines.append((key.replace("_", " "), text or "none"))
    return lines
