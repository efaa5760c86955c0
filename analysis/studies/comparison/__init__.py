"""Which rule is better?  Runs of the same seeds under several rules, turned into paired differences and a verdict."""

from marginquake.analysis.statistics.intervals import bootstrap_interval
from marginquake.analysis.statistics.paired import Paired, adjust_holm, paired, sign_flip_p_value
from marginquake.analysis.studies.comparison.figures import draw_levels, levels, levels_height_inches, levels_markdown
from marginquake.analysis.studies.comparison.load import Comparison, Failure, load_comparison
from marginquake.analysis.studies.comparison.metrics import measure, metric_named
from marginquake.analysis.studies.comparison.report import to_markdown, write_comparison
from marginquake.analysis.studies.comparison.verdict import Finding, Pair, Verdict, compare

__all__ = [
    "Comparison",
    "Failure",
    "Finding",
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
