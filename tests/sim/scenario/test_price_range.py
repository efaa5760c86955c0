"""Prices stay on the ladder: what is declared must fit, and a ladder is chosen that holds it."""

import math
from pathlib import Path

import pytest

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.scenario.price_range import MOST_BYTES, declared_range
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.run import load_scenario, simulate
from tests.support.paths import SCENARIOS, TINY, UNLIKELY_SCENARIOS

USUAL = UNLIKELY_SCENARIOS / "bases" / "usual.yaml"
HEAD = f"extends: {USUAL}\n"


def loaded(folder: Path, text: str) -> Scenario:
    path = folder / "mine.yaml"
    path.write_text(HEAD + text)
    return load_scenario(path)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        loaded(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def test_the_range_is_that_of_the_declared_path(tmp_path: Path) -> None:
    text = (
        "index:\n  fundamental: {volatility: 0}\n  shocks:\n"
        "    - {at: 10s, log_return: 10%, over: 10s}\n    - {at: 15s, log_return: -30%, over: 20s}\n"
    )
    scenario = loaded(tmp_path, text)
    reach = declared_range(scenario.markets[0], scenario)  # type: ignore[arg-type]
    assert reach is not None
    # at 15 s half of the rise has come; from then to 20 s the fall is the faster
    assert reach.highest == pytest.approx(100_000 * math.exp(0.05))
    assert reach.lowest == pytest.approx(100_000 * math.exp(-0.2))
    assert reach.likely_highest == reach.highest


@pytest.mark.parametrize("log_return", ["90%", "2", "70%"])
def test_a_rise_off_the_usual_ladder_gets_a_wider_one_and_the_mark_follows(tmp_path: Path, log_return: str) -> None:
    scenario = loaded(tmp_path, f"index: {{shocks: [{{at: 5s, log_return: {log_return}, over: 10s}}]}}\n")
    highest = math.exp(float(log_return.rstrip("%")) / (100 if "%" in log_return else 1))
    (note,) = scenario.notes
    assert "the shocks take the price to" in note
    assert scenario.markets[0].contract.max_price_multiple > 1.2 * highest
    assert f"max_price_multiple: {scenario.markets[0].contract.max_price_multiple}" in scenario.resolved_yaml()
    data = simulate(scenario, 1)
    assert data.summary["seconds_at_ladder_end"] == 0
    assert max(data.series["mark"]) > 0.75 * highest * 100_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "contract: {max_price_multiple: 2}\nindex: {shocks: [{at: 5s, log_return: 90%}]}\n",
            "mine.yaml:2: contract.max_price_multiple: value 2: the shocks take the price to 245960, 2.46 times "
            "initial_price; write 2.6 or more",
        ),
        (
            "contract: {max_price_multiple: 1.2}\n"
            "index: {shocks: [{at: 5s, log_return: 10%}, {at: 9s, log_return: 9%}]}\n",
            "mine.yaml:2: contract.max_price_multiple: value 1.2: the shocks take the price to 120925",
        ),
        (
            "duration: 100d\nstep: 1s\ncontract: {max_price_multiple: 2}\n"
            "index: {fundamental: {volatility: 0, drift: 3}}\n",
            "mine.yaml:4: contract.max_price_multiple: value 2: its drift alone takes the price to 227",
        ),
        (
            "index: {shocks: [{at: 5s, log_return: 9}]}\n",
            "mine.yaml:1: contract.max_price_multiple: value 2 (the default): the shocks take the price to 8.10308e+08",
        ),
        (
            "index: {shocks: [{at: 5s, log_return: -12}]}\n",
            "mine.yaml:1: contract.tick_size: value 1 (the default): the shocks take the price to 0.614421, less than "
            "one tick",
        ),
    ],
)  # fmt: skip
def test_a_path_that_leaves_the_ladder_for_certain_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, text).startswith(said)


def test_a_shock_on_top_of_a_replay_counts(tmp_path: Path) -> None:
    (tmp_path / "path.csv").write_text("time,price\n0,100\n30,150\n60,140\n")
    replay = "  fundamental: {type: replay, file: path.csv}\n"
    shocks = "  shocks: [{at: 20s, log_return: 40%, over: 20s}]\n"
    told = refused(tmp_path, f"contract: {{max_price_multiple: 1.9}}\nindex:\n{replay}{shocks}")
    # the shock is over at 40 s: the replay stands at 146.7 then
    assert "the replay and the shocks take the price to 218" in told
    assert "write 2.3 or more" in told
    alone = refused(tmp_path, f"contract: {{max_price_multiple: 1.4}}\nindex:\n{replay}")
    assert "the replay rises to 150000, 1.5 times initial_price; write 1.6 or more" in alone
    assert loaded(tmp_path, f"index:\n{replay}{shocks}").markets[0].contract.max_price_multiple == 2.8


def test_a_ladder_is_chosen_no_larger_than_memory_allows(tmp_path: Path) -> None:
    fine = "contract: {tick_size: 0.01, lot_size: 0.001, money_unit: 1e-5, max_position_lots: 1000}\n"
    assert MOST_BYTES < 1e9
    told = refused(tmp_path, fine + "index: {shocks: [{at: 5s, log_return: 90%}]}\n")
    assert "MB of memory), or a larger tick_size" in told
    scenario = loaded(tmp_path, fine.replace("0.01,", "0.1,") + "index: {shocks: [{at: 5s, log_return: 90%}]}\n")
    assert "MB" in scenario.notes[0]


def test_nothing_is_widened_where_the_usual_ladder_holds() -> None:
    for path in (TINY, *sorted(SCENARIOS.glob("*.yaml"))):
        scenario = load_scenario(path)
        assert not any("ladder" in note for note in scenario.notes)
        assert [market.contract.max_price_multiple for market in scenario.markets] == [2.0]
