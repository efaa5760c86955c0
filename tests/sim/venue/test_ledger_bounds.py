"""No amount wraps in silence: what is drawn, what comes in later, and what a ledger has come to."""

from pathlib import Path

import numpy as np
import pytest

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.integers.limits import MOST_BALANCE, MOST_COST, MOST_MARKET_MONEY, MOST_MONEY, TooLarge
from marginquake.sim.core.problems import ScenarioError
from tests.support.paths import TINY
from tests.support.whole_market import OpenModel, run_to_end

pytestmark = pytest.mark.model
HEAVY = "{distribution: pareto, minimum: 1e10, exponent: 0.2}"


@pytest.mark.parametrize("column", ["collateral", "isolated_margin", "cost"])
@pytest.mark.parametrize("value", [MOST_BALANCE + 1, -MOST_BALANCE - 1, 2**63 - 1, -(2**63)])
def test_an_amount_out_of_bounds_breaks_an_invariant(open_model: OpenModel, column: str, value: int) -> None:
    venue = open_model(TINY, "duration=1s").sessions[0].venue
    venue.check_invariants()
    venue.accounts.rows[column][SYSTEM_ROWS] = value
    with pytest.raises(AssertionError, match=rf"{column} of account {SYSTEM_ROWS} is .* money units, beyond"):
        venue.check_invariants()


def test_what_two_accounts_have_wrapped_by_shows_in_the_sum(open_model: OpenModel) -> None:
    """2^63 more in two accounts is 0 in 64 bits, and not in truth."""
    venue = open_model(TINY, "duration=1s").sessions[0].venue
    rows = venue.accounts.rows
    with np.errstate(over="ignore"):
        rows["collateral"][[SYSTEM_ROWS, SYSTEM_ROWS + 1]] += np.int64(2**62)
        rows["cost"][[SYSTEM_ROWS, SYSTEM_ROWS + 1]] += np.int64(-(2**62))
    with pytest.raises(AssertionError):
        venue.check_invariants()
    assert MOST_COST < 2**62


def test_a_run_ends_where_an_amount_has_left_its_bounds_with_or_without_invariants(open_model: OpenModel) -> None:
    model = open_model(TINY, "duration=1min", "warmup=0s")
    rows = model.sessions[0].venue.accounts.rows
    rows["collateral"][SYSTEM_ROWS] = -(2**63)
    with pytest.raises(TooLarge, match=r"main: collateral .* is -9\.22337e\+18 money units, .*contract\.money_unit"):
        run_to_end(model)


def test_a_run_looks_at_its_ledger_when_it_ends(open_model: OpenModel) -> None:
    model = open_model(TINY, "duration=1s")
    for _ in range(model.steps_total):
        model.step()
    model.sessions[0].venue.accounts.rows["collateral"][SYSTEM_ROWS] += 1
    with pytest.raises(TooLarge, match="money is neither made nor lost"):
        model.finish()


def test_deposits_that_are_drawn_too_large_are_told_by_their_line(open_model: OpenModel, tmp_path: Path) -> None:
    path = tmp_path / "heavy.yaml"
    path.write_text(f"duration: 1s\npopulations:\n  rich:\n    type: market_maker\n    deposit: {HEAVY}\n")
    with pytest.raises(ScenarioError) as caught:
        open_model(path)
    assert str(caught.value).startswith(f"{path}:5: populations.rich.deposit: the largest deposit drawn: ")
    assert "raise contract.money_unit" in str(caught.value)


def test_deposits_that_are_drawn_too_large_together_are_told_as_well(open_model: OpenModel, tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    trait = "{distribution: pareto, minimum: 1e9, exponent: 0.99, maximum: 1.1e12}"
    path.write_text(f"duration: 1s\npopulations:\n  rich:\n    type: whale\n    accounts: 200\n    deposit: {trait}\n")
    with pytest.raises(ScenarioError, match=r"many\.yaml:6: populations\.rich\.deposit.*all money of"):
        open_model(path)


def test_a_top_up_beyond_all_bounds_is_refused_before_it_is_booked(open_model: OpenModel) -> None:
    venue = open_model(TINY, "duration=1s").sessions[0].venue
    before = venue.accounts.rows.copy()
    rows = np.arange(SYSTEM_ROWS, SYSTEM_ROWS + 3)
    with pytest.raises(TooLarge, match="all money of the market"):
        venue.deposit(rows, np.full(3, MOST_MONEY), 0)
    assert (venue.accounts.rows == before).all()
    assert 3 * MOST_MONEY > MOST_MARKET_MONEY


@pytest.mark.parametrize("ratio", ["1e300", "1e15"])
def test_positions_scaled_for_an_absurd_fuel_ratio_are_refused(open_model: OpenModel, ratio: str) -> None:
    with pytest.raises((TooLarge, ScenarioError), match="fuel_ratio"):
        run_to_end(open_model(TINY, f"fuel_ratio={ratio}", "duration=1s"))
