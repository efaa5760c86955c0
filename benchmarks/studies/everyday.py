"""everyday_market on every seed: the scoreboard."""

from collections.abc import Mapping

from benchmarks.studies.runs import Job, Kept, Scale, Section, Study
from benchmarks.studies.tables import verdict

MISSING: Mapping[str, str] = {
    "VOL": "none: the level is the scenario's choice of fundamental volatility",
    "SF2_1min": "order flow has memory (whales, trend followers) and nobody anticipates it: makers quote round the "
    "index and do not lean against predictable flow, as real ones must for prices to be a martingale",
    "SF2": "order flow has memory (whales, trend followers) and nobody anticipates it: makers quote round the index "
    "and do not lean against predictable flow, as real ones must for prices to be a martingale",
    "SF3": "volatility memory comes from one Ornstein-Uhlenbeck time scale of the fundamental; a power law needs many "
    "(a cascade of news volatilities, or agents with horizons from seconds to weeks)",
    "ACF_ABS_1": "see the decay exponent",
    "ACF_ABS_100": "see the decay exponent",
    "SF1": "tails come from stochastic volatility and jumps of the fundamental only",
    "SF4_1min": "tails come from stochastic volatility and jumps of the fundamental only",
    "SF5": "unshocked falls seldom reach fuel at fuel ratio 0.3; the sign needs feedback from levered longs",
    "SF6": "volume follows volatility through the activity of background flow and whales only; news does not bring "
    "traders of its own",
    "SF7": "nothing makes volatility answer to the sign of returns but liquidations of longs, which are rare here",
    "SF8": "one slow volatility process looks nearly integrated over hours",
    "SPREAD_TICKS": "steps of 1 s: quotes taken within a step are not replaced before it is recorded (2-3 ticks at "
    "100-ms steps in calm_market); in basis points the spread is in band",
    "OB1": "whales, each alone, make the memory; herding and splitting across brokers is missing, and arbitrageurs and "
    "fundamentalists dilute it with flow that reverts",
    "OB2": "no latent liquidity: makers refill one ladder around the index, so small orders meet linear depth; the "
    "square root needs liquidity that appears only when the price comes (Toth et al. 2011, Donier et al. 2015)",
    "OB2Y": "as for the exponent: no latent liquidity",
    "OB3": "impact of single orders decays with maker refill within a minute; see the metaorder exponent",
    "D1_ADV": "volume per depth is a choice of order rates, not a mechanism",
    "OI_ADV": "open interest is the scenario's choice of institutions",
    "HFT_HALF_LIFE": "high-frequency traders unwind by their clock and hold nothing for the other reasons real ones do",
    "TRACK_MEDIAN": "arbitrageurs wait for 4 bp and are few",
    "TRACK_P99": "arbitrage capital answers linearly and within a second only",
    "LQ1med": "falls of 1 % are caused by the fundamental here: makers see them coming on spot and withdraw less than "
    "where the perpetual leads",
    "LQ1p10": "as for the median",
    "LQ3": "as for bid depth in falls",
    "LQ4": "makers return within a second at 1-s steps; pulls are partial (residual 40 %)",
    "CA12": "rebound is the built-in decay of the index's displacement: patient spot capital is missing",
    "CA14": "retail holds both sides and jumps of the fundamental come both ways within minutes",
    "CA15L": "the leverage weights of the crowd set it",
}
"""What is believed to be missing where a fact is out of band; the report shows those that are."""

HOURS = 24


def jobs(scale: Scale) -> list[Job]:
    """Hours of everyday_market at 1-s steps on every seed."""
    return [Job("everyday_market.yaml", (f"duration={HOURS}h",), seed, keep="facts") for seed in scale.seeds]


def report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """Scoreboard, share in band, and what is believed missing."""
    from marginquake.analysis.facts import scoreboard, to_markdown

    rows = scoreboard([runs[job]["facts"] for job in jobs(scale)])
    judged = [row for row in rows if row.verdict != "n.a."]
    passed = sum(row.verdict == "pass" for row in judged)
    good = 3 * passed >= 2 * len(judged)
    lines = [
        f"{HOURS} simulated hours at 1-s steps, {len(scale.seeds)} seeds.",
        "",
        to_markdown(rows),
        "",
        f"In band: {passed} of {len(judged)} facts that have one (asked: two thirds): {verdict(good)}.",
        "",
        "Out of band, and the mechanism believed to be missing:",
        "",
    ]
    lines += [
        f"* **{row.label}** ({row.id}): {MISSING.get(row.id, 'not yet understood')}"
        for row in judged
        if row.verdict == "fail"
    ]
    return Section("\n".join(lines) + "\n", good)


EVERYDAY = Study("everyday_market: the scoreboard, a day at 1-s steps", jobs, report)
