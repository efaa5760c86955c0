"""Which mechanism carries which fact: everyday_market with one mechanism removed, paired by seed.

What was expected was written down before the runs (session of 2026-11-22, from the prototype and the papers); the
tables say what came out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.studies.runs import OFF, Job, Kept, Scale, Section, Study
from benchmarks.studies.tables import shown, table

SCENARIO = "everyday_market.yaml"
CALM = ("duration=210min",)
SHOCK = (
    "duration=25min",
    "warmup=3min",
    "step=500ms",
    "record.series_every=1s",
    "fuel_ratio=1",
    "index.shocks=[{at: 5min, log_return: -2%, over: 3min}]",
)


@dataclass(frozen=True)
class Ablation:
    """What is taken away, how, and what that was expected to do."""

    name: str
    overrides: tuple[str, ...]
    expected: str
    shocked: bool = True
    """Whether it is also measured in the shock; what matters in calm only is not."""


ABLATIONS = (
    Ablation(
        "whales",
        ("populations.whales=null",),
        "order-sign memory goes (first lags fall to what background and arbitrage leave); volatility a little lower; "
        "no metaorders, so no impact law; shocked falls unchanged",
        shocked=False,
    ),
    Ablation(
        "withdrawal",
        (
            "populations.makers.withdrawal=0",
            "populations.makers.pull_sigmas=1e6",
            "populations.makers.pull_inventory=null",
            "populations.makers.pull_loss_d1=null",
        ),
        "nothing in calm (prototype: none even at k = 4); in the shock more depth survives, amplification no smaller "
        "(prototype: same drop, more volume executed)",
    ),
    Ablation(
        "contrarians",
        ("populations.contrarians=null",),
        "nothing in calm; shocked fall deeper, rebound smaller, both slightly (prototype: 20 M slow capital hardly "
        "matters in two minutes)",
    ),
    Ablation(
        "chartists",
        ("populations.chartists=null",),
        "ACF(r) at 1 min and volatility lower, tails thinner (Chiarella, Iori, Perello: the chartist term makes fat "
        "tails); prototype: ACF(r) .06 against .14, volatility 54 against 58 %",
    ),
    Ablation(
        "stochastic volatility",
        ("index.fundamental.stochastic_volatility=null",),
        "memory of abs r beyond the longest activity average (1 h) goes, tail index rises above 4: memory is imported "
        "with the news, not made by the agents (prototype: ACF abs r .05/-.01/0/0, Hill 5.2)",
        shocked=False,
    ),
    Ablation(
        "index feedback",
        ("index.feedback.enabled=false",),
        "no lasting impact of metaorders (exponent about 0), amplification about 1.1 (prototype: 1.09)",
    ),
    Ablation(
        "stops",
        ("populations.retail.prevention={none: 0.85, stop: 0, delever: 0.1, hedge: 0.05}",),
        "nothing in calm; in the shock both the run and its twin fall less (prototype: amplification 1.52, not 1.91)",
    ),
)

READING = """\
* **Volatility memory is imported.** Without stochastic volatility of the fundamental the memory of abs r goes at 1 and
  10 min, and most of the kurtosis: as expected. Agents add little of their own.
* **Two fifths of the rebound are built in**: they are the decay of the index's displacement. Without index feedback the
  rebound falls from 26 to 15 bp, amplification to 1.0, and the impact exponent from .69 to .36: as expected.
* **Whales** carry the metaorders, a few points of volatility and part of the memory of returns. The exponent of the
  taker signs does *not* change without them, against expectation: arbitrageurs and fundamentalists trade in one
  direction for minutes too.
* **Chartists** carry memory of returns and thicken tails (Hill index higher without them): as expected, and small;
  volatility does not change.
* **Contrarians** make shocked falls shallower by a tenth: as expected. The rebound is larger without them, against
  expectation: the deeper fall has more to come back from.
* **Withdrawal** changes next to nothing in calm: as expected. In this shock the fall is slightly *deeper* without it,
  against expectation (makers that keep quoting full size are run over and end at their limits); whether more depth
  survives cannot be told.
* **Stops** deepen the fall and the twin's alike, so that amplification does not see them: as expected. Without them
  more depth survives, and more accounts are liquidated instead.
"""
"""What the tables say, as of 2026-11-23 (4 seeds); to be read again when they are made again."""

CALM_FACTS = (
    ("VOL", "volatility, %/yr", 100.0, ".0f"),
    ("SF2_1min", "ACF(r) 1 min", 1.0, ".3f"),
    ("ACF_ABS_1", "ACF abs r 1 min", 1.0, ".2f"),
    ("ACF_ABS_10", "10 min", 1.0, ".2f"),
    ("ACF_ABS_50", "50 min", 1.0, ".2f"),
    ("SF1", "Hill 1 min", 1.0, ".2f"),
    ("SF4_1min", "kurtosis 1 min", 1.0, ".1f"),
    ("OB1", "sign exponent", 1.0, ".2f"),
    ("OB2", "impact exponent", 1.0, ".2f"),
    ("OB2Y", "impact Y", 1.0, ".2f"),
    ("OB3", "taker response, bp", 1.0, ".2f"),
    ("SPREAD_BP", "spread, bp", 1.0, ".2f"),
    ("TRACK_MEDIAN", "basis, bp", 1.0, ".2f"),
)
"""Facts by id, their column, unit factor and format."""


def calm_job(overrides: Sequence[str], seed: int) -> Job:
    """Hours of everyday_market, measured for the scoreboard."""
    return Job(SCENARIO, (*CALM, *overrides), seed, keep="facts")


def shock_job(overrides: Sequence[str], seed: int) -> Job:
    """A shocked market with fuel ratio 1."""
    return Job(SCENARIO, (*SHOCK, *overrides), seed, keep="populations")


def jobs(scale: Scale) -> list[Job]:
    """Everything once with all mechanisms and once without each; the shock also without forced orders."""
    cells: list[tuple[str, ...]] = [(), *(a.overrides for a in ABLATIONS)]
    wanted = [calm_job(cell, seed) for cell in cells for seed in scale.few_seeds]
    for cell in [(), *(a.overrides for a in ABLATIONS if a.shocked)]:
        for twin in ((), (OFF,)):
            wanted += [shock_job((*cell, *twin), seed) for seed in scale.few_seeds]
    return wanted


def calm_table(runs: Mapping[Job, Kept], seeds: Sequence[int]) -> str:
    """Base values, then paired differences."""

    def values(overrides: Sequence[str], fact: str, factor: float) -> np.ndarray:
        found = [runs[calm_job(overrides, seed)]["facts"].get(fact) for seed in seeds]
        return factor * np.array([math.nan if m is None else m.value for m in found])

    base = ["**everything** (level)"]
    base += [shown(values((), fact, factor), form) for fact, _, factor, form in CALM_FACTS]
    rows = [base]
    for ablation in ABLATIONS:
        row = [f"without {ablation.name}"]
        for fact, _, factor, form in CALM_FACTS:
            difference = values(ablation.overrides, fact, factor) - values((), fact, factor)
            row.append(marked(difference, "+" + form))
        rows.append(row)
    return table(["", *(column for _, column, _, _ in CALM_FACTS)], rows)


def marked(difference: np.ndarray, form: str) -> str:
    """A paired difference with its interval, bold where the interval leaves out 0."""
    from marginquake.analysis.statistics.intervals import bootstrap

    estimate, low, high = bootstrap(difference.tolist(), "mean")
    if math.isnan(estimate):
        return "n.a."
    text = shown(difference.tolist(), form)
    return f"**{text}**" if low > 0 or high < 0 else text


def of_shock(on: Kept, off: Kept) -> dict[str, float]:
    """Fall, amplification, depth survival and rebound of a shocked run and its twin."""
    fall, twin = on["max_drawdown_fraction"], off["max_drawdown_fraction"]
    series = on["series"]
    time_s, last = np.asarray(series["time_s"]), np.asarray(series["last"])
    depth = np.asarray(series["bid_depth_1pct"])
    live = time_s >= 0
    trough = int(np.nanargmin(np.where(live, last, np.inf)))
    later = int(np.searchsorted(time_s, time_s[trough] + 300.0))
    before = np.median(depth[(time_s >= 0) & (time_s < 300.0)])
    return {
        "fall": 100 * fall,
        "twin": 100 * twin,
        "amplification": fall / twin,
        "survival": float(depth[live].min() / before),
        "rebound": 1e4 * math.log(last[min(later, len(last) - 1)] / last[trough]),
        "forced": 100 * on["forced_fill_fraction_of_open_interest"],
    }


SHOCK_FACTS = (
    ("fall", "fall, %", ".2f"),
    ("twin", "twin's fall, %", ".2f"),
    ("amplification", "amplification", ".2f"),
    ("survival", "depth survival", ".2f"),
    ("rebound", "rebound 5 min, bp", ".0f"),
    ("forced", "forced / OI, %", ".1f"),
)


def shock_table(runs: Mapping[Job, Kept], seeds: Sequence[int]) -> str:
    """Levels with everything, paired differences without."""

    def values(overrides: tuple[str, ...]) -> list[dict[str, float]]:
        return [of_shock(runs[shock_job(overrides, seed)], runs[shock_job((*overrides, OFF), seed)]) for seed in seeds]

    base = values(())
    rows = [["**everything** (level)", *(shown([b[key] for b in base], form) for key, _, form in SHOCK_FACTS)]]
    for ablation in (a for a in ABLATIONS if a.shocked):
        without = values(ablation.overrides)
        row = [f"without {ablation.name}"]
        for key, _, form in SHOCK_FACTS:
            row.append(marked(np.array([w[key] - b[key] for w, b in zip(without, base, strict=True)]), "+" + form))
        rows.append(row)
    return table(["", *(column for _, column, _ in SHOCK_FACTS)], rows)


def report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """Expectations, then both tables."""
    seeds = scale.few_seeds
    expectations = table(["without", "expected before the runs"], [[a.name, a.expected] for a in ABLATIONS])
    text = (
        f"everyday_market, {len(seeds)} seeds, each cell on the same seeds. First row: mean over seeds with "
        "everything; other rows: mean paired difference. Brackets: 95 % interval over seeds; bold: it "
        "leaves out 0. With so few seeds an interval is rough, and with a hundred cells a few are bold by chance.\n\n"
        f"### What was expected\n\n{expectations}\n\n"
        f"### Calm: {CALM[0].split('=')[1]} at 1-s steps\n\n{calm_table(runs, seeds)}\n\n"
        "### A shock: the fundamental falls 2 % in 3 min, fuel ratio 1, 500-ms steps, twin without forced orders\n\n"
        f"{shock_table(runs, seeds)}\n\n### Reading (2026-11-23)\n\n{READING}"
    )
    return Section(text, True)


ABLATION = Study("Ablations of everyday_market: which mechanism carries which fact", jobs, report)
