"""Writes what a comparison found: `report.html` (one file, no request to anywhere) and a section of markdown."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marginquake.analysis import formats
from marginquake.analysis.presentation import theme
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.presentation.page import template
from marginquake.analysis.presentation.png import render
from marginquake.analysis.statistics.paired import LEVEL
from marginquake.analysis.studies.comparison.figures import (
    FALL,
    SHOWN,
    draw_falls,
    draw_forest,
    draw_levels,
    forest_height_inches,
    levels_height_inches,
)
from marginquake.analysis.studies.comparison.load import Comparison, load_comparison
from marginquake.analysis.studies.comparison.verdict import Finding, Meaning, Pair, compare, effect_size, p_value
from marginquake.sim.core.outside.disk import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FALLS_HEIGHT_INCHES = 6.0
LONGEST_OVERRIDE = 100
"""Characters of an override that markdown shows."""
FOREST_CAPTION = (
    "Alternative minus baseline on the same seed, in standard deviations of that difference (d_z); bars are 95 % "
    "intervals of the mean; they hold 0 where the verdict is undecided. To the left of 0 the metric is lower under the "
    "alternative. Filled: told apart from chance after Holm's correction; black is neither better nor worse. Beyond "
    "the edge: an arrow."
)
LEVELS_CAPTION = (
    "How large things are under each alternative. Bars are 95 % intervals of the mean over seeds (on each side the "
    "wider of Student's and of the bootstrap-t; none below five seeds); whether two alternatives differ is said by the "
    "paired differences, not by whether bars overlap."
)
FALLS_CAPTION = "Largest fall of the last price from its running peak. Each thin line is one seed."


def write_comparison(path: str | Path) -> Path:
    """Draw the figures of a comparison, write its `report.html` and return that file's path.

    A figure that fails is left out, with a line in the page and on stderr.
    """
    comparison = load_comparison(path)
    pairs = compare(comparison)
    figures, left_out = [], LeftOut()
    with left_out.unless_it_fails("figure differences"):
        height = forest_height_inches(pairs)
        figures.append(_figure(comparison, "differences", FOREST_CAPTION, height, lambda f: draw_forest(pairs, f)))
    if all(FALL in comparison.values[name] for name in comparison.alternatives):
        with left_out.unless_it_fails("figure falls"):
            figures.append(
                _figure(comparison, "falls", FALLS_CAPTION, FALLS_HEIGHT_INCHES, lambda f: draw_falls(comparison, f))
            )
    if all(key in comparison.values[name] for key in SHOWN for name in comparison.alternatives):
        with left_out.unless_it_fails("figure levels"):
            height = levels_height_inches(comparison)
            figures.append(_figure(comparison, "levels", LEVELS_CAPTION, height, lambda f: draw_levels(comparison, f)))
    left_out.tell()
    page = comparison.path / "report.html"
    content = _content(comparison, pairs)
    text = template("comparison.html.j2").render(**content, figures=figures, left_out=left_out.lines)
    write_whole(page, text)
    return page


def to_markdown(comparison: Comparison, level: int = 2) -> str:
    """A section of markdown: question, alternatives, verdict in words, one table an alternative.

    `level`: of its heading.
    """
    pairs = compare(comparison)
    title = comparison.name.replace("_", " ")
    lines = [f"{'#' * level} {title[:1].upper()}{title[1:]}", "", comparison.question, ""]
    lines += [f"`{comparison.scenario}`, {_seeds(comparison)} {_dropped(comparison)}".rstrip(), ""]
    lines += [f"* `{name}`{_role(comparison, name)}: {_overrides(_own(comparison, name))}"
              for name in comparison.alternatives]  # fmt: skip
    lines += [f"* held fixed: {_overrides(comparison.shared_overrides)}"] if comparison.shared_overrides else []
    for pair in pairs:
        lines += ["", pair.sentence, ""]
        lines += [_few(pair), ""] if pair.too_few_seeds else []
        lines += [_row(_HEADER), "|" + "---|" * len(_HEADER)]
        lines += [_row(_cells(finding)) for finding in pair.findings]
    return "\n".join(lines) + "\n"


_HEADER = ("metric", "baseline", "alternative", "difference [95 %]", "d_z", "seeds lower", "p", "p, Holm", "verdict")


def _cells(finding: Finding) -> tuple[str, ...]:
    found, metric = finding.paired, finding.metric
    tested = not found.identical
    return (
        metric.short,
        metric.level(found.baseline),
        metric.level(found.alternative),
        finding.difference,
        effect_size(found.d_z) if tested else "",
        formats.percent(found.lower, 0) if tested else "",
        p_value(found.p_value) if tested else "",
        p_value(finding.holm) if tested else "",
        f"{finding.verdict.value} ({finding.effect.value})" if finding.effect in _JUDGED else finding.verdict.value,
    )


_JUDGED = (Meaning.BETTER, Meaning.WORSE)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _content(comparison: Comparison, pairs: Sequence[Pair]) -> dict[str, Any]:
    return {
        "name": comparison.name.replace("_", " "),
        "question": comparison.question,
        "scenario": comparison.scenario,
        "model_version": comparison.model_version,
        "seeds": _seeds(comparison),
        "dropped": _dropped(comparison),
        "level": LEVEL,
        "header": _HEADER,
        "alternatives": [
            (f"{name}{_role(comparison, name)}", _own(comparison, name)) for name in comparison.alternatives
        ],
        "shared": comparison.shared_overrides,
        "pairs": [
            {
                "title": f"{pair.alternative} against {pair.baseline}",
                "sentence": pair.sentence,
                "warning": _few(pair) if pair.too_few_seeds else "",
                "rows": [(each.metric.note, each.effect.name.lower(), _cells(each)) for each in pair.findings],
            }
            for pair in pairs
        ],
        "failures": comparison.failures,
        "runs": [(name, comparison.runs[name]) for name in comparison.alternatives],
        "file_text": comparison.file_text.rstrip(),
    }


def _figure(
    comparison: Comparison, name: str, caption: str, height_inches: float, draw: "Callable[[Figure], None]"
) -> dict[str, Any]:
    source = f"{comparison.name}  {formats.plural(len(comparison.seeds), 'seed')}"
    path = render(draw, comparison.path / "figures" / f"{name}.png", height_inches, False, source)
    return {
        "title": name,
        "source": f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}",
        "caption": caption,
        "width": round(theme.WIDTH_INCHES * theme.DPI),
        "height": round(height_inches * theme.DPI),
    }


def _seeds(comparison: Comparison) -> str:
    return f"{formats.plural(len(comparison.seeds), 'seed')}, the same for every alternative."


def _dropped(comparison: Comparison) -> str:
    """Which seeds are left out; empty where none are."""
    if not comparison.dropped:
        return ""
    count = formats.plural(len(comparison.dropped), "seed")
    listed = ", ".join(str(seed) for seed in comparison.dropped)
    return f"{count} left out, because not every alternative finished: {listed}."


def _role(comparison: Comparison, name: str) -> str:
    return " (the baseline)" if name == comparison.baseline else ""


def _own(comparison: Comparison, name: str) -> tuple[str, ...]:
    """What tells an alternative from the others: its scenario, where they differ in that, and its overrides."""
    several = len(set(comparison.scenarios.values())) > 1
    return (*([comparison.scenarios[name]] if several else []), *comparison.own_overrides(name))


def _overrides(overrides: Sequence[str]) -> str:
    """As code; whole tables are cut short."""
    short = [text if len(text) <= LONGEST_OVERRIDE else f"{text[:LONGEST_OVERRIDE]} ..." for text in overrides]
    return ", ".join(f"`{text}`" for text in short) or "as it is"


def _few(pair: Pair) -> str:
    seeds = max((finding.paired.n for finding in pair.findings), default=0)
    return (
        f"With {formats.plural(seeds, 'seed')} and this many metrics no result whatever could be told apart "
        f"from chance "
        "after the correction: run more seeds."
    )
