"""Colours of the page in both schemes, as CSS variables; light ones are those of the figures (analysis/style.py)."""

from collections.abc import Mapping

from analysis import style

LIGHT: dict[str, str] = {
    "ink": style.INK, "muted": "#596579", "grid": style.GRID, "card": style.PAPER,
    "mark": style.MARK, "last": style.LAST, "index": style.INDEX, "fundamental": style.FUNDAMENTAL,
    "bid": style.BID, "ask": style.ASK, "forced-sell": style.FORCED_SELL, "forced-buy": style.FORCED_BUY,
    "interest": "#455a75", "fund": "#0a8f8c", "without": "#0a8f8c",
    "voluntary": "#6f7d94", "stop": "#e69f00", "forced": style.FORCED_SELL, "cause-index": style.INDEX,
    "smoothing": "#b9c2cf",
    "margin": "#455a75", "insurance": "#0072b2", "adl": "#e69f00", "socialised": "#cc79a7", "unpaid": style.FORCED_SELL,
    "trading": style.BID, "fees": "#9aa4b5", "spot": style.FUNDAMENTAL,
    "fault": "#8c8c3c", "pause": "#8a5cc2",
    "heat-sell": style.NIGHT_FORCED_SELL, "heat-buy": "#3cc9c4",
}  # fmt: skip
DARK: dict[str, str] = {
    "ink": style.NIGHT_INK, "muted": "#98a2b6", "grid": "#252d40", "card": "#141926",
    "mark": style.NIGHT_INK, "last": "#7f8ba3", "index": "#6aaef2", "fundamental": "#b796ec",
    "bid": "#5aa9f0", "ask": "#f29b4b", "forced-sell": style.NIGHT_FORCED_SELL, "forced-buy": "#3cc9c4",
    "interest": "#a3b4cc", "fund": "#3cc9c4", "without": "#3cc9c4",
    "voluntary": "#93a1b8", "stop": "#f0b429", "forced": style.NIGHT_FORCED_SELL, "cause-index": "#6aaef2",
    "smoothing": "#4a556b",
    "margin": "#a3b4cc", "insurance": "#3f9fe0", "adl": "#f0b429", "socialised": "#e08fbb",
    "unpaid": style.NIGHT_FORCED_SELL, "trading": "#5aa9f0", "fees": "#7f8ba3", "spot": "#b796ec",
    "fault": "#b5b560", "pause": "#b796ec",
    "heat-sell": style.NIGHT_FORCED_SELL, "heat-buy": "#3cc9c4",
}  # fmt: skip
NIGHT_POPULATION_COLOURS = (
    "#3f9fe0", "#f0b429", "#1fbf92", "#e08fbb", "#7cc7f2", "#f07f3c", "#a68be0", "#b5b560", "#8d97ab",
)  # fmt: skip
"""Those of `style.POPULATION_COLOURS`, one for one, light enough for a dark page."""


def css() -> str:
    """Variables `--c-...` of the light scheme and, where the reader prefers it, of the dark one."""
    dark = _variables(DARK, NIGHT_POPULATION_COLOURS)
    return (
        f":root {{ {_variables(LIGHT, style.POPULATION_COLOURS)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-print]) {{ {dark} }} }}"
    )


def population(position: int) -> str:
    """Name of the colour of the population at `position` in the scenario."""
    return f"population-{position % len(style.POPULATION_COLOURS)}"


def _variables(colours: Mapping[str, str], populations: tuple[str, ...]) -> str:
    every = dict(colours) | {f"population-{k}": colour for k, colour in enumerate(populations)}
    return " ".join(f"--c-{name}: {colour};" for name, colour in every.items())
