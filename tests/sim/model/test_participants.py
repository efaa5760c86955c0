"""The contract that every registered participant keeps; a new entry in AGENT_TYPES is held to it at once."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES
from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.sim.core.records import OrderKind, Side
from marginquake.sim.scenario.config import MarketConfig
from tests.support.one_participant import PRICE, Booth, seat_of

KINDS = sorted(AGENT_TYPES)
STEPS = 300
QUANTIFIED = (
    OrderKind.LIMIT,
    OrderKind.POST_ONLY,
    OrderKind.MARKET,
    OrderKind.IOC,
    OrderKind.FOK,
    OrderKind.STOP,
    OrderKind.TAKE_PROFIT,
)


def everyday(booth: Booth, steps: int = STEPS) -> NDArray[Any]:
    """A market that wanders, with value going its own way, and a position on every third account."""
    said = []
    for index in range(0, len(booth.participant.rows), 3):
        short = index % 2
        said.append(booth.tell(booth.give(index, -5 if short else 5, liquidation_ticks=PRICE - 900 + 1800 * short)))
    for step in range(steps):
        move = round(60 * np.sin(step / 40))
        value = PRICE * (1 + 0.02 * np.sin(step / 70))
        said.append(
            booth.decide(
                bid=PRICE + move - 2, ask=PRICE + move + 2, mark_ticks=PRICE + move, fundamental_ticks=float(value)
            )
        )
    return np.concatenate(said)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_registered_with_a_config_and_an_example_that_validates(kind: str) -> None:
    agent_type = AGENT_TYPES[kind]
    assert issubclass(agent_type, Participant)
    assert issubclass(agent_type.config_type, ParticipantConfig)
    assert agent_type.example["type"] == kind
    config = agent_type.config_type.model_validate(agent_type.example)
    assert agent_type.config_type.model_validate(config.model_dump()) == config


@pytest.mark.parametrize("kind", KINDS)
def test_a_typo_in_its_config_is_an_error(kind: str) -> None:
    agent_type = AGENT_TYPES[kind]
    with pytest.raises(ValueError, match="depoist"):
        agent_type.config_type.model_validate(agent_type.example | {"depoist": 1})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "trait",
    [
        {"deposit": -1},
        {"latency": "-1ms"},
        {"leverage": 0},
        {"leverage": {"distribution": "uniform", "minimum": 0, "maximum": 5}},
        {"deposit": {"distribution": "normal", "mean": 1000, "deviation": 500}},
    ],
    ids=str,
)
def test_impossible_traits_are_refused(kind: str, trait: dict[str, Any]) -> None:
    agent_type = AGENT_TYPES[kind]
    with pytest.raises(ValueError, match="greater than"):
        agent_type.config_type.model_validate(agent_type.example | trait)


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_seeds_positions_says_what_that_asks_of_others(kind: str) -> None:
    agent_type = AGENT_TYPES[kind]
    config = agent_type.config_type.model_validate(agent_type.example)
    seeds = agent_type.seed_positions is not Participant.seed_positions
    assert seeds == (agent_type.takes_other_side or agent_type.needs_other_side(config))


def test_nobody_needs_the_other_side_of_a_crowd_that_starts_flat() -> None:
    retail = AGENT_TYPES["retail"]
    flat = retail.config_type.model_validate(retail.example | {"initial_open_fraction": 0})
    assert not retail.needs_other_side(flat)


def test_only_the_liquidation_engine_is_no_population() -> None:
    assert [kind for kind in KINDS if AGENT_TYPES[kind].configured_by] == ["liquidation_engine"]
    assert AGENT_TYPES["liquidation_engine"].configured_by in MarketConfig.model_fields


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_well_formed_orders_for_its_own_accounts_only(kind: str) -> None:
    booth = seat_of(kind)
    said = everyday(booth)
    if kind == "liquidation_engine":
        return
    own = booth.participant.rows
    assert np.isin(said["account"], own).all()
    orders = said[np.isin(said["kind"], [int(k) for k in QUANTIFIED])]
    assert (orders["quantity_lots"] > 0).all()
    assert np.isin(orders["side"], [int(Side.BUY), int(Side.SELL)]).all()
    assert (orders["price_ticks"] >= 1).all()
    assert (orders["price_ticks"] < booth.participant.contract.max_price_ticks).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_market_order_and_stop_carries_a_bound_on_its_own_side_of_the_price(kind: str) -> None:
    said = everyday(seat_of(kind))
    taking = said[np.isin(said["kind"], [int(OrderKind.MARKET), int(OrderKind.STOP)])]
    assert (taking["price_ticks"] > 0).all()
    assert (taking["price_ticks"] > 0.9 * PRICE).all()
    assert (taking["price_ticks"] < 1.1 * PRICE).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_repeats_itself_for_a_seed(kind: str) -> None:
    assert everyday(seat_of(kind)).tobytes() == everyday(seat_of(kind)).tobytes()


@pytest.mark.parametrize("kind", ["background", "fundamentalist", "market_maker", "retail"])
def test_another_seed_says_other_things(kind: str) -> None:
    assert everyday(seat_of(kind, seed=0)).tobytes() != everyday(seat_of(kind, seed=1)).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_it_cannot_write_the_ledger(kind: str) -> None:
    accounts = seat_of(kind).participant.accounts
    for column in (accounts.position_lots, accounts.collateral, accounts.cost, accounts.stage):
        with pytest.raises(ValueError, match="read-only"):
            column[:1] = 1


@pytest.mark.parametrize("kind", KINDS)
def test_it_cannot_trade_the_account_of_another(kind: str) -> None:
    booth = seat_of(kind)
    stranger = np.array([len(booth.table.rows) + 1])
    with pytest.raises(PermissionError):
        booth.orders.market(stranger, Side.BUY, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sides",
    [{"bid": 0, "ask": 0}, {"bid": 0}, {"ask": 0}, {"bid": 0, "ask": 0, "mark_ticks": 0, "last_ticks": 0}],
    ids=["empty", "no bids", "no asks", "the first step of all"],
)
def test_it_survives_an_empty_or_one_sided_book(kind: str, sides: dict[str, int]) -> None:
    booth = seat_of(kind)
    with np.errstate(all="raise", under="ignore"):
        said = np.concatenate([booth.decide(**sides) for _ in range(STEPS)])
    assert (said["quantity_lots"] >= 0).all()
    assert (said["price_ticks"] >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_events_about_others_do_not_disturb_it(kind: str) -> None:
    booth = seat_of(kind)
    booth.decide()
    stranger = int(booth.participant.rows[-1]) + 3
    for event in ({"kind": k, "account": stranger, "maker_account": stranger, "order_id": 10**9} for k in range(15)):
        booth.tell(event)
    booth.decide()
