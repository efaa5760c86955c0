"""Draw docs/images/architecture.svg from the import contracts in pyproject.toml.

    python docs/draw_architecture.py

The contracts are what `lint-imports` enforces, so the picture cannot say anything else.  A test holds the committed
picture to them.
"""

import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PACKAGE = "marginquake"
READERS = ("agents", "analysis")
"""The packages beside `sim` that see some of its rooms."""

ROW, GAP, TOP = 26, 6, 84
SIM_X, SIM_WIDTH = 40, 210
MARK_X = {"agents": 296, "analysis": 366}
AGENTS_X, ANALYSIS_X, WIDTH = 430, 610, 170
COLOURS = {"sim": "#dbe7f5", "agents": "#fbe3cf", "analysis": "#dcefdc", "ink": "#1f2933", "faint": "#7b8794"}
TITLES = {
    "sim": "how a market works",
    "agents": "who trades",
    "analysis": "what is read afterwards",
}

Rows = list[list[str]]


@dataclass(frozen=True)
class Contracts:
    """Rooms by row, the highest first; and how much of each room of `sim` agents and analysis may import."""

    sim: Rows
    analysis: Rows
    above: frozenset[str]
    """Rooms of `sim` that may import agents and analysis."""
    seen: dict[str, dict[str, str]]
    """By reader and room of `sim`: `all`, `part` or `none`."""


def read_contracts(pyproject: Path = ROOT / "pyproject.toml") -> Contracts:
    """Take rooms and permissions from `[tool.importlinter]`."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layered = {c["containers"][0]: _rows(c) for c in contracts if c["type"] == "layers" and "containers" in c}
    sim, analysis = layered[f"{PACKAGE}.sim"], layered[f"{PACKAGE}.analysis"]
    above, beside = _order(contracts)
    seen = {}
    for reader in READERS:
        refused = _refused(contracts, f"{PACKAGE}.{reader}")
        seen[reader] = {
            room: "none" if room in above | beside else _share(f"{PACKAGE}.sim.{room}", refused)
            for row in sim
            for room in row
        }
    return Contracts(sim, analysis, above, seen)


def _rows(contract: dict[str, Any]) -> Rows:
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def _order(contracts: list[dict[str, Any]]) -> tuple[frozenset[str], frozenset[str]]:
    """Rooms of `sim` above agents and analysis, and those in one row with them, where nobody sees the others."""
    above: set[str] = set()
    for contract in contracts:
        if contract["type"] == "layers" and "containers" not in contract:
            for row in _rows(contract):
                rooms = {name.removeprefix(f"{PACKAGE}.sim.") for name in row if name.startswith(f"{PACKAGE}.sim.")}
                if f"{PACKAGE}.agents" in row:
                    return frozenset(above), frozenset(rooms)
                above |= rooms
    raise ValueError("pyproject.toml: no contract says which rooms may import agents")


def _refused(contracts: list[dict[str, Any]], source: str) -> set[str]:
    return {
        name
        for contract in contracts
        if contract["type"] == "forbidden" and source in contract["source_modules"]
        for name in contract["forbidden_modules"]
    }


def _share(room: str, refused: set[str]) -> str:
    if room in refused:
        return "none"
    return "part" if any(name.startswith(f"{room}.") for name in refused) else "all"


def draw(contracts: Contracts) -> str:
    """The picture as SVG text."""
    rows = max(len(contracts.sim), len(contracts.analysis))
    height = TOP + rows * (ROW + GAP) + 56
    width = ANALYSIS_X + WIDTH + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="13" fill="{COLOURS["ink"]}">',
        "<title>Rooms of marginquake, and who may import whom</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_heading(SIM_X, "sim"),
        *_heading(AGENTS_X, "agents"),
        *_heading(ANALYSIS_X, "analysis"),
        *_arrow(22, TOP, TOP + len(contracts.sim) * (ROW + GAP) - GAP),
    ]
    for reader, x in MARK_X.items():
        parts += [_text(x, 46, "seen by", "faint", anchor="middle"), _text(x, 62, reader, "faint", anchor="middle")]
    for number, row in enumerate(contracts.sim):
        parts += _row(SIM_X, SIM_WIDTH, number, row, "sim")
        y = TOP + number * (ROW + GAP) + ROW / 2
        for reader, x in MARK_X.items():
            for place, room in enumerate(row):
                shift = 14 * (place - (len(row) - 1) / 2)
                parts += _mark(x + shift, y, contracts.seen[reader][room], reader)
        if set(row) & contracts.above:
            parts.append(_text(MARK_X["agents"] - 22, y + 4, "sees agents, analysis", "faint"))
    parts += _row(AGENTS_X, WIDTH, 0, ["one file a trader"], "agents")
    for number, row in enumerate(contracts.analysis):
        parts += _row(ANALYSIS_X, WIDTH, number, row, "analysis")
    parts += _legend(height - 30)
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, words: str, colour: str = "ink", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{COLOURS[colour]}" text-anchor="{anchor}">{escape(words)}</text>'


def _heading(x: float, package: str) -> list[str]:
    return [
        f'<text x="{x}" y="46" font-size="17" font-weight="bold">{package}</text>',
        _text(x, 66, TITLES[package], "faint"),
    ]


def _row(x: float, width: float, number: int, names: list[str], package: str) -> list[str]:
    each = (width - GAP * (len(names) - 1)) / len(names)
    y = TOP + number * (ROW + GAP)
    parts = []
    for place, name in enumerate(names):
        left = x + place * (each + GAP)
        parts.append(
            f'<rect x="{left:g}" y="{y}" width="{each:g}" height="{ROW}" rx="4" fill="{COLOURS[package]}" '
            f'stroke="{COLOURS["faint"]}" stroke-width="0.6"/>'
        )
        parts.append(_text(left + each / 2, y + ROW / 2 + 4.5, name, anchor="middle"))
    return parts


def _mark(x: float, y: float, share: str, package: str) -> list[str]:
    if share == "none":
        return []
    fill = COLOURS[package] if share == "all" else "#ffffff"
    return [
        f'<circle cx="{x:g}" cy="{y:g}" r="6" fill="{fill}" stroke="{COLOURS["ink"]}" stroke-width="1">'
        f"<title>{package}: {share}</title></circle>"
    ]


def _arrow(x: float, top: float, bottom: float) -> list[str]:
    return [
        f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom - 6}" stroke="{COLOURS["faint"]}" stroke-width="1.5"/>',
        f'<path d="M{x - 5} {bottom - 8} L{x} {bottom} L{x + 5} {bottom - 8} Z" fill="{COLOURS["faint"]}"/>',
    ]


def _legend(y: float) -> list[str]:
    return [
        _text(SIM_X, y, "A room may import the rooms below it in its column, never one beside or above it.", "faint"),
        _text(
            SIM_X,
            y + 18,
            "Filled circle: all of the room.  Empty circle: part of it.  In a row of two, left is left.",
            "faint",
        ),
    ]


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(read_contracts()), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
