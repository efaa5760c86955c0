"""From paired differences to words: what a rule made better, what worse, and what cannot be told apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import final

from marginquake.analysis import formats
from marginquake.analysis.measures.summary_metrics import Better, SummaryMetric
from marginquake.analysis.statistics.paired import LEVEL, Paired, adjust_holm, paired, smallest_p_value
from marginquake.analysis.studies.comparison.load import Comparison


@final
class Verdict(Enum):
    """What may be said of one metric."""

    LOWER = "lower"
    HIGHER = "higher"
    UNDECIDED = "no detectable difference"
    IDENTICAL = "identical on every seed"


@final
class Meaning(Enum):
    """What a verdict means for the choice of a rule."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed, neither better nor worse"
    UNDECIDED = "no detectable difference"
    IDENTICAL = "identical on every seed"


@final
@dataclass(frozen=True)
class Finding:
    """One metric of one alternative.  `holm`: the p-value, adjusted over all metrics of the pair that moved at all.

    Verdict and interval never disagree: the verdict asks for both, the adjusted test and an interval without 0, and
    where it is undecided the interval of `paired` holds 0 (`findings_of`).
    """

    metric: SummaryMetric
    paired: Paired
    holm: float

    @property
    def verdict(self) -> Verdict:
        """Lower or higher only where the adjusted test says so and the interval leaves 0 out."""
        if self.paired.identical:
            return Verdict.IDENTICAL
        if self.holm >= LEVEL or not self.paired.excludes_zero:
            return Verdict.UNDECIDED
        return Verdict.LOWER if self.paired.mean < 0 else Verdict.HIGHER

    @property
    def effect(self) -> Meaning:
        """The verdict seen with the direction that is better."""
        verdict = self.verdict
        if verdict in (Verdict.UNDECIDED, Verdict.IDENTICAL):
            return Meaning[verdict.name]
        if self.metric.better is Better.NEITHER:
            return Meaning.CHANGED
        return Meaning.BETTER if (verdict is Verdict.LOWER) == (self.metric.better is Better.LOWER) else Meaning.WORSE

    @property
    def difference(self) -> str:
        """'-0.42 points [-0.61, -0.25]'; '0' where the rule changed nothing."""
        if self.paired.identical:
            return "0"
        return self.metric.difference(self.paired.mean, self.paired.low, self.paired.high)

    @property
    def words(self) -> str:
        """'lower: -0.42 points [-0.61, -0.25] (40 seeds)'."""
        if self.verdict is Verdict.IDENTICAL:
            return str(self.verdict.value)
        return f"{self.verdict.value}: {self.difference} ({formats.plural(self.paired.n, 'seed')})"


@final
@dataclass(frozen=True)
class Pair:
    """An alternative against the baseline: all findings, in the order of the metrics.

    `same_as`: the baseline or an earlier alternative whose scenario is the same, however it is written.
    """

    baseline: str
    alternative: str
    findings: tuple[Finding, ...]
    same_as: str | None = None

    def of(self, *effects: Meaning) -> tuple[Finding, ...]:
        """Findings of these effects."""
        return tuple(finding for finding in self.findings if finding.effect in effects)

    @property
    def sentence(self) -> str:
        """What gets better, what worse, and what cannot be told apart."""
        head = f"{self.alternative} against {self.baseline}:"
        if len(self.of(Meaning.IDENTICAL)) == len(self.findings):
            return f"{head} identical on every seed in every metric; {self._why_identical}."
        decided = [
            f"{effect.value}: {', '.join(_named(finding) for finding in self.of(effect))}"
            for effect in (Meaning.BETTER, Meaning.WORSE, Meaning.CHANGED)
            if self.of(effect)
        ]
        open_ones = [
            f"{effect.value}: {', '.join(finding.metric.short for finding in self.of(effect))}"
            for effect in (Meaning.UNDECIDED, Meaning.IDENTICAL)
            if self.of(effect)
        ]
        found = "; ".join(decided or ["nothing that can be told apart from chance"])
        same = [] if self.same_as is None else [f"same rule as {self.same_as}"]
        return f"{head} {found}. {_sentences([*open_ones, *same])}"

    @property
    def _why_identical(self) -> str:
        if self.same_as is None:
            return "the rule never came to bear"
        return f"same rule as {'the baseline' if self.same_as == self.baseline else self.same_as}"

    @property
    def too_few_seeds(self) -> bool:
        """True where no outcome could have given a verdict: the test's smallest p-value, adjusted."""
        tested = [finding.paired.n for finding in self.findings if not finding.paired.identical]
        return bool(tested) and len(tested) * smallest_p_value(max(tested)) >= LEVEL


def compare(comparison: Comparison) -> tuple[Pair, ...]:
    """Every alternative against the baseline."""
    return tuple(_pair(comparison, alternative) for alternative in comparison.alternatives[1:])


def findings_of(metrics: Sequence[SummaryMetric], differences: Sequence[Paired]) -> tuple[Finding, ...]:
    """Adjust over the metrics that moved at all.

    One that is identical on every seed cannot give a false verdict, whatever the signs, so it is no part of the count
    (Tarone 1990).  Intervals reach to 0 where the adjusted test cannot tell.
    """
    moved = [place for place, each in enumerate(differences) if not each.identical]
    holm = dict(zip(moved, adjust_holm([differences[place].p_value for place in moved]), strict=True))
    return tuple(
        Finding(metric, each if holm.get(place, 1.0) < LEVEL else each.with_zero(), holm.get(place, 1.0))
        for place, (metric, each) in enumerate(zip(metrics, differences, strict=True))
    )


def _pair(comparison: Comparison, alternative: str) -> Pair:
    before, after = comparison.values[comparison.baseline], comparison.values[alternative]
    metrics: list[SummaryMetric] = []
    differences: list[Paired] = []
    for key in comparison.metrics:
        if key in before and key in after and (found := paired(before[key], after[key])) is not None:
            metrics.append(comparison.described(key))
            differences.append(found)
    findings = findings_of(metrics, differences)
    return Pair(comparison.baseline, alternative, findings, comparison.same_rule_as(alternative))


def _named(finding: Finding) -> str:
    """The metric, which way it went, and how far from where."""
    level = finding.metric.level(finding.paired.baseline)
    shift = finding.metric.difference(finding.paired.mean)
    return f"{finding.metric.short} {finding.verdict.value} ({shift} from {level})"


def _sentences(parts: Sequence[str]) -> str:
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def effect_size(d_z: float) -> str:
    """d_z for tables: '-1.32', '+inf' where every seed moved by the same amount, 'none' for a single seed."""
    return "none" if math.isnan(d_z) else f"{d_z:+.2f}"


def p_value(p: float) -> str:
    """'0.0312', '1.0e-05'."""
    return f"{p:.2g}" if p >= 1e-3 else f"{p:.0e}"
