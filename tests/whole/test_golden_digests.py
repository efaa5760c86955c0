"""Event digests of every shipped scenario are those of the committed table: nothing moved that should not have."""

from pathlib import Path

import pytest

from tests.golden import THOROUGH, Golden, simulated, table
from tests.support.paths import ROOT

pytestmark = pytest.mark.model

CASES = table()


@pytest.mark.parametrize("case", [case for case in CASES if not case.long], ids=lambda case: case.name)
def test_the_events_of_a_shipped_scenario_are_those_of_the_table(case: Golden) -> None:
    assert simulated(case) == case.found


@pytest.mark.slow
@pytest.mark.skipif(not THOROUGH, reason="long runs: MARGINQUAKE_THOROUGH=1")
@pytest.mark.parametrize("case", [case for case in CASES if case.long], ids=lambda case: case.name)
def test_the_events_of_a_long_run_are_those_of_the_table(case: Golden) -> None:
    assert simulated(case) == case.found


def test_every_shipped_scenario_is_in_the_table() -> None:
    """Those that run by themselves; comparisons and sweeps are made of them."""
    in_table = {case.scenario for case in CASES}
    for folder in ("scenarios", "scenarios/venues_compared"):
        for path in sorted((ROOT / folder).glob("*.yaml")):
            is_run = "alternatives:" not in path.read_text()
            assert str(path.relative_to(ROOT)) in in_table or not is_run


def test_the_table_has_cascades_in_it() -> None:
    called = {Path(case.scenario).stem for case in CASES if case.found["margin_calls"] >= 20}
    assert {"long_squeeze", "short_squeeze", "adl_stress", "coin_margined"} <= called
