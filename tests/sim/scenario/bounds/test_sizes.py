"""What no machine can hold or run is refused when it is read; what this machine cannot hold, where it is run."""

import math
from pathlib import Path

import numba
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.integers import limits
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.bounds import memory, sizes
from marginquake.sim.scenario.bounds.memory import check_memory, memory_of_machine, needs, shown_bytes
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.rehearsal import rehearse
from tests.support.paths import ROOT, TINY

SHIPPED = sorted((ROOT / "scenarios").glob("*.yaml"))


def refusal(*overrides: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(TINY, AGENT_TYPES, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("populations.flow.deep_rate=1e300", "must be at most 1e+09"),
        ("populations.flow.deep_rate=1e6", "is 1e+05 a decision (every 100ms); at most 16,384; write a lower rate"),
        ("populations.flow.market_rate=1e5", "comes to 4e+04 orders a decision, at most 16,384"),
        ("populations.flow.cancel_rate=1e-9", "is so low that 6.33e+10 orders may rest at once, at most 16,777,216"),
        ("populations.value.accounts=4000000000000", "at most 2,147,483,632 accounts in a market"),
        ("populations.value.accounts=4000000000000", "so many need 1.78 PiB of memory"),
        ("populations.value.wake_rate=1e6", "is 1e+05 a decision"),
        ("contract.tick_size=1e-6", "the ladder of prices has 2e+11 ticks"),
        ("record.map_bins=1000000000", "must be at most 100000"),
        ("venue.fees.taker=1e300", "must be at most 5"),
        ("populations.crowd.top_up_fraction=1e300", "must be at most 1e+09"),
        ("populations.makers.depth_exponent=1e9", "must be at most 100"),
        ("populations.makers.depth_d1=1e9", "of D1 comes to 1e+13 lots, more than 1.1e+12 (2^40)"),
    ],
)
def test_a_size_that_cannot_be_is_refused_with_its_field(override: str, said: str) -> None:
    message = refusal(override)
    assert message.startswith(f"--set {override}: {override.split('=', maxsplit=1)[0]}: value ")
    assert said in message
    assert len(message.splitlines()) == 1


def test_a_run_that_this_machine_cannot_hold_is_refused_where_it_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load_scenario(TINY, AGENT_TYPES, ("populations.crowd.accounts=2000000", "populations.crowd.deposit=1"))
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 2.0**29)
    with pytest.raises(ScenarioError) as caught:
        MarketModel(scenario, AGENT_TYPES)
    assert str(caught.value).startswith(
        "--set populations.crowd.accounts=2000000: populations.crowd.accounts: value 2000000: the run needs "
    )
    assert str(caught.value).endswith("the accounts of crowd 954 MiB of it; this machine has 512 MiB")


def test_a_run_that_this_machine_cannot_hold_is_valid_and_not_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load_scenario(TINY, AGENT_TYPES, ("contract.tick_size=0.0001", "contract.money_unit=1e-7"))
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 2.0**30)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", False)
    said = rehearse(scenario).not_done
    assert said is not None
    assert said.startswith("not rehearsed: the run needs 168 GiB of memory, the ladder of prices 168 GiB of it; ")
    assert said.endswith("; `run` would refuse it here")
    with pytest.raises(ScenarioError, match="the ladder of prices 168 GiB of it"):
        check_memory(scenario)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_runs_in_two_gigabytes_by_the_estimate(path: Path) -> None:
    text = path.read_text()
    if "alternatives:" in text or "axes:" in text:
        return
    check_memory(load_scenario(path, AGENT_TYPES), 2e9)


def test_the_parts_of_an_estimate_are_numbers_that_say_what_they_are_of() -> None:
    parts = list(needs(load_scenario(TINY, AGENT_TYPES)))
    assert all(math.isfinite(part.size) and part.size >= 0 and part.what for part in parts)
    assert {part.path[-1] for part in parts} >= {"accounts", "tick_size", "series_every", "map_every", "data_latency"}


def test_this_machine_has_some_memory() -> None:
    assert memory_of_machine() > 2.0**28
    assert [shown_bytes(size) for size in (512, 2.0**40 * 233, 2.0**70)] == ["512 B", "233 TiB", "1.02e+03 EiB"]


PAGE = (ROOT / "docs" / "units.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("row", "bounds"),
    [
        ("deposit of one account", {limits.MOST_MONEY: "2^60 U"}),
        ("all money of a market", {limits.MOST_MARKET_MONEY: "2^61 U"}),
        ("collateral and isolated margin", {limits.MOST_BALANCE: "2^61 U"}),
        ("cost of a position", {limits.MOST_COST: "2^60 U", limits.MOST_OPEN_MONEY: "2^58 U"}),
        ("sizes in units of D1", {limits.MOST_LOTS: "2^40 lots", limits.MOST_ORDER_LOTS + 1: "2^31"}),
        ("ladder of prices", {limits.MOST_TICKS + 2: "2^31 - 2"}),
        ("length of a run", {limits.LONGEST_NS: "2^61 ns", limits.NEVER_NS: "2^62 ns"}),
        ("accounts of a market", {limits.MOST_ACCOUNTS + 16: "2^31 - 16", limits.MOST_POPULATIONS: "32,767"}),
        ("steps of a run", {sizes.MOST_STEPS: "2^36", sizes.MOST_ROWS: "2^31"}),
        ("a rate per second", {int(sizes.MOST_A_DECISION): "16,384"}),
        ("a plain number", {int(sizes.MOST_PLAIN): "1e9", int(sizes.MOST_FRACTION): "10,000"}),
    ],
)
def test_the_page_on_units_has_the_bounds_of_the_code(row: str, bounds: dict[int, str]) -> None:
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {row}"))
    for bound, shown in bounds.items():
        assert shown in line
        number = shown.split(" - ", maxsplit=1)[0].split()[0].replace(",", "")
        power = number.partition("^")[2]
        assert bound == (2 ** int(power) if power else int(float(number)))
