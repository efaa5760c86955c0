"""Writes `report.html`: one file with everything in it, no request to anywhere, readable on a phone."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis import style
from analysis.cascades import episodes
from analysis.figures import FIGURES
from analysis.liquidation_quality import TRANSITION_HEADINGS, Result, cells_of, measure, transition_matrix
from analysis.load import MarketFrames, RunFrames, load_run
from analysis.plots import draw_figure, figure_path, label
from analysis.scorecard import HEADLINES, scorecard_rows

EPISODES_SHOWN = 5


def write_report(run: str | Path | RunFrames) -> Path:
    """Write `report.html` into a run directory and return its path.

    Figures already in `figures/` are taken as they are; missing ones are drawn.
    """
    frames = run if isinstance(run, RunFrames) else load_run(run)
    path = frames.path / "report.html"
    path.write_text(template("report.html.j2").render(**_content(frames)), encoding="utf-8")
    return path


def template(name: str) -> Any:
    """A page of analysis/templates; texts are escaped."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(name)


def _content(frames: RunFrames) -> dict[str, Any]:
    markets = [
        {
            "name": market.name,
            "tiles": _tiles(frames, market),
            "rows": scorecard_rows(frames.summary, market.name),
            "figures": _figures(frames, market, position),
            "episodes": _episodes(market),
            "no_episodes": market.not_recorded("liquidations"),
            "quality": _quality(market),
            "transitions": _transitions(market),
        }
        for position, market in enumerate(frames.markets.values())
    ]
    seconds = float(frames.first.run["time_s"][-1])
    return {
        "name": frames.name.replace("_", " "),
        "question": frames.question,
        "seed": frames.seed,
        "length": style.clock(seconds),
        "markets": markets,
        "transition_headings": TRANSITION_HEADINGS,
        "provenance": _provenance(frames.manifest),
        "scenario_text": frames.scenario_text.rstrip(),
    }


def _tiles(frames: RunFrames, market: MarketFrames) -> list[Any]:
    rows = {row.label: row for row in scorecard_rows(frames.summary, market.name)}
    return [rows[name] for name in HEADLINES if name in rows]


def _figures(frames: RunFrames, market: MarketFrames, position: int) -> list[dict[str, Any]]:
    found = []
    for name, picture in FIGURES.items():
        path = figure_path(frames, market, name, position)
        if not path.is_file():
            if not picture.wanted(market):
                continue
            draw_figure(market, name, path, label(frames, market))
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        width, height = style.WIDTH_INCHES * style.DPI, picture.height_inches * style.DPI
        found.append(
            {
                "title": name.replace("_", " "),
                "source": f"data:image/png;base64,{data}",
                "caption": picture.caption,
                "dark": picture.dark,
                "width": round(width),
                "height": round(height),
            }
        )
    return found


def _episodes(market: MarketFrames) -> list[dict[str, str]]:
    """The largest episodes of forced flow, in order of time."""
    largest = [episode for episode in episodes(market.forced_fills) if episode.start_s >= 0][:EPISODES_SHOWN]
    return [
        {
            "start": style.clock(episode.start_s),
            "duration": style.clock(episode.duration_s),
            "notional": style.short_number(episode.notional),
            "accounts": f"{episode.accounts:,}",
            "fund": style.percent(episode.fund_fraction, 0),
            "sold": style.percent(episode.sell_fraction, 0),
            "change": f"{(episode.price_last / episode.price_first - 1) * 100:+.2f} %",
            "range": style.percent(episode.range_fraction),
        }
        for episode in sorted(largest, key=lambda episode: episode.start_s)
    ]


def _quality(market: MarketFrames) -> list[Result]:
    """Measures of calls and liquidations, if anybody was called; those that this run cannot answer are left out."""
    results = measure(market)
    called = any(row.name == "margin_calls" and row.value > 0 for row in results)
    return [row for row in results if not math.isnan(row.value)] if called else []


def _transitions(market: MarketFrames) -> list[tuple[str, ...]]:
    return [cells_of(each) for each in transition_matrix(market)]


def _provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The manifest as flat lines; an empty list or null says 'none'."""
    lines: list[tuple[str, str]] = []
    for key, value in manifest.items():
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
