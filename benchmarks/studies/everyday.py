"""everyday_market on every seed: the scoreboard."""

from collections.abc import Mapping

from benchmarks.studies.runs import Job, Kept, Scale, Section, Study
from benchmarks.studies.tables import verdict

MISSING: Mapping[str, str] = {}
"""Facts out of band, and the mechanism believed to be missing; read by the report for those that fail."""


def jobs(scale: Scale) -> list[Job]:
    """One simulated day at 1-s steps on every seed."""
    return [Job("everyday_market.yaml", (), seed, keep="facts") for seed in scale.seeds]


def report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """Scoreboard, share in band, and what is believed missing."""
    from analysis.facts import scoreboard, to_markdown

    rows = scoreboard([runs[job]["facts"] for job in jobs(scale)])
    judged = [row for row in rows if row.passed is not None]
    passed = sum(bool(row.passed) for row in judged)
    good = 3 * passed >= 2 * len(judged)
    lines = [
        to_markdown(rows),
        "",
        f"In band: {passed} of {len(judged)} (asked: two thirds): {verdict(good)}.",
        "",
        "Out of band, and the mechanism believed to be missing:",
        "",
    ]
    lines += [f"* {row.label}: {MISSING.get(row.fact, 'not yet understood')}" for row in judged if not row.passed]
    return Section("\n".join(lines) + "\n", good)


EVERYDAY = Study("everyday_market: the scoreboard, one simulated day at 1-s steps", jobs, report)
