"""Any number of a scenario at any size: it is refused in words, or the market runs with every invariant.

MARGINQUAKE_THOROUGH=n tries 6,000 n of them, in the order of MARGINQUAKE_EXTREMES_SEED.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from tests.sim.scenario.bounds.extreme_numbers import RULES, base, cases, outcome

pytestmark = pytest.mark.model
THOROUGH = int(os.environ.get("MARGINQUAKE_THOROUGH", "0"))
TRIED = 40 if not THOROUGH else 6_000 * THOROUGH
SEED = int(os.environ.get("MARGINQUAKE_EXTREMES_SEED", "1"))
WATCHDOG_S = 30


@contextmanager
def watchdog(what: str) -> Iterator[None]:
    """What does not end is a failure like any other."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{what}: no end after {WATCHDOG_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(WATCHDOG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_number_that_nobody_means_is_refused_or_runs(tmp_path: Path) -> None:
    data = [base(rules).resolved() for rules in range(len(RULES))]
    found: Counter[str] = Counter()
    wrong: list[str] = []
    for case in cases(SEED)[:TRIED]:
        try:
            with watchdog(str(case)):
                found[outcome(case, data[case.rules], tmp_path)] += 1
        except Exception as error:
            wrong.append(f"{case}: {type(error).__name__}: {error}")
    print(dict(found), len(wrong))
    assert wrong == []
    assert found.keys() <= {"refused", "refused later", "ran"}
    assert found["refused"] > 0 < found["ran"]
