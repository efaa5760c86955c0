"""Which rule is better?  Runs of the same seeds under several rules, turned into paired differences and a verdict."""

from analysis.comparison.levels import draw_levels, levels, levels_height_inches, levels_markdown
from analysis.comparison.load import Comparison, Failure, load_comparison
from analysis.comparison.metrics import Metric, measure, metric_named
from analysis.comparison.report import to_markdown, write_comparison
from analysis.comparison.statistics import Paired, adjust_holm, bootstrap_interval, paired, sign_flip_p_value
from analysis.comparison.verdict import Finding, Pair, Verdict, compare

__all__ = [
    "Comparison",
    "Failure",
    "Finding",
    "Metric",
    "Pair",
    "Paired",
    "Verdict",
    "adjust_holm",
    "bootstrap_interval",
    "compare",
    "draw_levels",
    "levels",
    "levels_height_inches",
    "levels_markdown",
    "load_comparison",
    "measure",
    "metric_named",
    "paired",
    "sign_flip_p_value",
    "to_markdown",
    "write_comparison",
]
