"""Which stages accounts went through, how long they stayed, how far it went (docs/model.md, eq. 7b)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.measures.cases import NS, Liquidations
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import AuditCause, Stage

CURES = (AuditCause.RECOVERED, AuditCause.TOPPED_UP, AuditCause.REDUCED, AuditCause.FLAT)


@final
@dataclass(frozen=True)
class Transition:
    """Changes from one stage to another: how many, their share of all that left that stage, time spent in it.

    Dwell times are nan where an account's way into the stage is not in the log (stage OK, mostly).
    """

    from_stage: str
    to_stage: str
    count: int
    share: float
    dwell_median_s: float
    dwell_p95_s: float


def transitions(seen: Liquidations) -> list[Transition]:
    """The transition matrix, entry by entry, those that occurred."""
    audit = seen.audit
    found = []
    for before in Stage:
        left = audit["from_stage"] == before
        for after in Stage:
            chosen = left & (audit["to_stage"] == after)
            if not chosen.any():
                continue
            dwell = audit["dwell_ns"][chosen]
            dwell = dwell[dwell >= 0] * NS
            median, late = np.quantile(dwell, (0.5, 0.95)) if len(dwell) else (np.nan, np.nan)
            count = int(chosen.sum())
            share = count / int(left.sum())
            found.append(Transition(before.name, after.name, count, share, float(median), float(late)))
    return found


def cured_share(seen: Liquidations, causes: tuple[AuditCause, ...] = CURES) -> float:
    """Share of calls, among those that are over, that ended without a forced sale, for one of these reasons."""
    audit = seen.audit
    left = audit["from_stage"] == Stage.CALLED
    if not left.any():
        raise Unmeasurable("no call was over when the run ended" if len(seen.calls) else "nobody was called")
    cured = left & np.isin(audit["cause"], [int(cause) for cause in causes])
    return float(cured.sum() / left.sum())


def escalation_ratio(seen: Liquidations) -> float:
    """Liquidations that cost the fund, winners or nobody yet, over all that are over."""
    cases = seen.ended
    paid = sum(cases.at_end(name) for name in ("fund_paid", "deleveraged_lots", "unpaid"))
    return float(np.mean(np.asarray(paid) > 0))
