"""Colours of the page in both schemes, as CSS variables; light ones are those of the figures, or darker.

Every one has a contrast of 3 or more with the card it is drawn on, and those that stand in one chart differ for readers
with a red or green deficiency too: `GROUPS`, held by a test.
"""

from collections.abc import Mapping

from marginquake.analysis.presentation import theme

LIGHT: dict[str, str] = {
    "ink": theme.INK, "muted": "#596579", "grid": theme.GRID, "card": theme.PAPER,
    "mark": theme.MARK, "last": "#8791a3", "index": theme.INDEX, "fundamental": "#5b2a86",
    "bid": theme.BID, "ask": "#d97514", "forced-sell": theme.FORCED_SELL, "forced-buy": theme.FORCED_BUY,
    "interest": "#455a75", "fund": "#0a8f8c", "without": "#0a8f8c",
    "voluntary": "#515d73", "stop": "#bf7f00", "forced": theme.FORCED_SELL, "cause-index": theme.INDEX,
    "smoothing": "#8a93a3",
    "margin": "#3b4d68", "insurance": "#0072b2", "adl": "#3e2af4", "socialised": "#cc79a7", "unpaid": theme.FORCED_SELL,
    "trading": theme.BID, "fees": "#8a93a3", "spot": "#5b2a86",
    "fault": "#8c8c3c", "pause": "#8a5cc2",
    "heat-sell": theme.NIGHT_FORCED_SELL, "heat-buy": "#12a09a",
}  # fmt: skip
DARK: dict[str, str] = {
    "ink": theme.NIGHT_INK, "muted": "#98a2b6", "grid": "#252d40", "card": "#141926",
    "mark": theme.NIGHT_INK, "last": "#7f8ba3", "index": "#6aaef2", "fundamental": "#dcc8ff",
    "bid": "#5aa9f0", "ask": "#f29b4b", "forced-sell": theme.NIGHT_FORCED_SELL, "forced-buy": "#3cc9c4",
    "interest": "#a3b4cc", "fund": "#3cc9c4", "without": "#2fb5b0",
    "voluntary": "#b9c4d8", "stop": "#f0b429", "forced": theme.NIGHT_FORCED_SELL, "cause-index": "#6aaef2",
    "smoothing": "#66718a",
    "margin": "#dbe3f0", "insurance": "#3f9fe0", "adl": "#7251f6", "socialised": "#e08fbb",
    "unpaid": theme.NIGHT_FORCED_SELL, "trading": "#5aa9f0", "fees": "#7f8ba3", "spot": "#e2c2ff",
    "fault": "#b5b560", "pause": "#b796ec",
    "heat-sell": theme.NIGHT_FORCED_SELL, "heat-buy": "#3cc9c4",
}  # fmt: skip
POPULATION_COLOURS = (
    "#0072b2", "#a87f00", "#009e73", "#cc79a7", "#3d87f5", "#8b1e3f", "#4b2a9e", "#8c8c3c", "#555f70",
)  # fmt: skip
NIGHT_POPULATION_COLOURS = (
    "#3f9fe0", "#f0b429", "#1fbf92", "#e08fbb", "#7cc7f2", "#f07f3c", "#8f6ae6", "#c3c36e", "#6d788f",
)  # fmt: skip
"""One a population, in the order of the scenario, on a light and on a dark card; after Okabe and Ito's palette."""
GROUPS = (
    ("mark", "last", "index", "fundamental"),
    ("mark", "without", "fundamental"),
    ("cause-index", "voluntary", "stop", "forced", "smoothing", "adl"),
    ("forced", "insurance", "stop"),
    ("margin", "insurance", "adl", "socialised", "unpaid"),
    ("trading", "forced", "fees", "spot"),
    ("forced-sell", "forced-buy"),
    ("heat-sell", "heat-buy"),
    ("bid", "ask"),
    ("fault", "pause"),
)
"""Colours that stand side by side in some chart."""


def css() -> str:
    """Variables `--c-...` of the light scheme and, where the reader prefers it, of the dark one."""
    dark = _variables(DARK, NIGHT_POPULATION_COLOURS)
    return (
        f":root {{ {_variables(LIGHT, POPULATION_COLOURS)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-print]) {{ {dark} }} }}"
    )


def population(position: int) -> str:
    """Name of the colour of the population at `position` in the scenario."""
    return f"population-{position % len(POPULATION_COLOURS)}"


def _variables(colours: Mapping[str, str], populations: tuple[str, ...]) -> str:
    every = dict(colours) | {f"population-{k}": colour for k, colour in enumerate(populations)}
    return " ".join(f"--c-{name}: {colour};" for name, colour in every.items())
