"""everyday_market on every seed: the scoreboard."""

from collections.abc import Mapping

from benchmarks.studies.runs import Job, Kept, Scale, Section, Study
from benchmarks.studies.tables import verdict

MISSING: Mapping[str, str] = {}
"""Facts out of band, and the mechanism believed to be missing; read by the report for those that fail."""


HOURS = 12


def jobs(scale: Scale) -> list[Job]:
    """Half a simulated day at 1-s steps on every seed."""
    return [Job("everyday_market.yaml", (f"duration={HOURS}h",), seed, keep="facts") for seed in scale.seeds]


def report(runs: Mapping[Job, Kept], scale: Scale) -> Section:
    """Scoreboard, share in band, and what is believed missing."""
    from analysis.facts import scoreboard, to_markdown

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


EVERYDAY = Study("everyday_market: the scoreboard, half a simulated day at 1-s steps", jobs, report)
