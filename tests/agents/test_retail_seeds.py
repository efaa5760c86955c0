"""Facts about positions that retail accounts hold when the clock starts: round entries, jitter as a control."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.sim.market.context import SeedPositions
from tests.support.one_participant import DEPTH_1PCT, PRICE, Booth, seat_of
from tests.support.paths import TINY
from tests.support.whole_market import OpenModel

JITTER = {"distribution": "uniform", "minimum": -0.02, "maximum": 0.02}


def seeds_of(**settings: Any) -> tuple[Booth, SeedPositions]:
    booth = seat_of("retail", **{"accounts": 3000} | settings)
    seeds = booth.participant.seed_positions(booth.view(), DEPTH_1PCT)
    assert seeds is not None
    return booth, seeds


def spare_money(booth: Booth, seeds: SeedPositions, distance: float) -> NDArray[Any]:
    """Equity less maintenance of each position once the mark has gone `distance` against it, over notional."""
    held = seeds.signed_lots != 0
    lots, entry = seeds.signed_lots[held], seeds.entry_ticks[held]
    accounts = booth.participant.accounts
    collateral = accounts.collateral[held] * 1e-6
    margin = accounts.initial_margin_ppm[held] / 1e6 * np.abs(lots) * entry * 1e-3
    backing = np.where(accounts.isolated[held], np.minimum(margin, collateral), collateral)
    worst = PRICE * (1 - np.sign(lots) * distance)
    notional = np.abs(lots) * worst * 1e-3
    return (backing + lots * (worst - entry) * 1e-3 - np.where(notional <= 50e3, 0.004, 0.005) * notional) / notional


def test_a_grid_puts_entries_at_round_prices_and_changes_nothing_else() -> None:
    _, plain = seeds_of()
    _, snapped = seeds_of(entry_grid=0.005)
    held = plain.signed_lots != 0
    assert (snapped.signed_lots == plain.signed_lots).all()
    assert (snapped.entry_ticks[held] % 500 == 0).all()
    assert (plain.entry_ticks[held] % 500 != 0).any()
    assert np.median(np.abs(snapped.entry_ticks - plain.entry_ticks)[held]) <= 250


@pytest.mark.parametrize("mode", ["isolated", "cross"])
@pytest.mark.parametrize(
    "settings", [{"entry_grid": 0.01}, {"level_jitter": JITTER}, {"entry_grid": 0.01, "level_jitter": JITTER}]
)
def test_round_and_jittered_entries_keep_their_distance_from_liquidation(mode: str, settings: dict[str, Any]) -> None:
    booth, seeds = seeds_of(
        margin_mode=mode, leverage={"distribution": "uniform", "minimum": 5, "maximum": 100}, **settings
    )
    assert spare_money(booth, seeds, 0.004).min() > -0.001
    assert spare_money(booth, seeds, 0.02).min() < -0.001, "some are near, so the check can fail"


def test_jitter_disperses_levels_and_nothing_else() -> None:
    clustered, before = seeds_of(entry_grid=0.01, long_share=0.9)
    dispersed, after = seeds_of(entry_grid=0.01, long_share=0.9, level_jitter=JITTER)
    assert (before.signed_lots == after.signed_lots).all(), "the same accounts hold the same lots"
    assert (clustered.participant.accounts.collateral == dispersed.participant.accounts.collateral).all()
    held = before.signed_lots != 0
    moved = (after.entry_ticks - before.entry_ticks)[held]
    assert (moved != 0).mean() > 0.99
    assert np.abs(moved).max() <= 0.02 * PRICE + 1
    assert len(np.unique(after.entry_ticks[held])) > 20 * len(np.unique(before.entry_ticks[held]))


def test_an_account_that_has_no_room_is_jittered_away_from_liquidation() -> None:
    """100x longs whose every jitter would lead too close keep their position, and end up farther away."""
    _, plain = seeds_of(leverage=100, long_share=1, entry_offset=0.001)
    _, moved = seeds_of(leverage=100, long_share=1, entry_offset=0.001, level_jitter=0.01)
    held = plain.signed_lots > 0
    assert held.any()
    assert (moved.signed_lots == plain.signed_lots).all()
    assert (moved.entry_ticks[held] == round(PRICE * (1 + 0.001 - 0.01))).all()


def test_entries_far_above_the_price_count_on_no_more_margin_than_the_collateral() -> None:
    """Bought 20 % higher, 95 % of the deposit does not make up the initial margin: the rest is not there."""
    booth, seeds = seeds_of(
        leverage=5, long_share=1, entry_offset={"distribution": "uniform", "minimum": 0, "maximum": 0.24}
    )
    assert spare_money(booth, seeds, 0.004).min() > -0.001


@pytest.mark.model
def test_a_market_with_jitter_opens_with_the_same_accounts_lots_and_deposits(open_model: OpenModel) -> None:
    """Also where sizes are solved for a fuel ratio: they are solved with the entries before the jitter."""
    opened = []
    for jitter in ("0", "{distribution: uniform, minimum: -0.5%, maximum: 0.5%}"):
        overrides = (
            "warmup=1s",
            "fuel_ratio=1",
            "populations.crowd.accounts=400",
            "populations.crowd.entry_offset=0",
            f"populations.crowd.level_jitter={jitter}",
        )
        model = open_model(TINY, *overrides)
        while model.now_ns < 0:
            model.step()
        opened.append(model.sessions[0].venue.accounts.rows.copy())
    before, after = opened
    assert (before["position_lots"] == after["position_lots"]).all()
    assert np.count_nonzero(before["position_lots"]) > 200
    assert (before["collateral"] == after["collateral"]).all()
    held = (before["mode"] == 1) & (before["position_lots"] != 0)
    assert (before["liquidation_ticks"][held] != after["liquidation_ticks"][held]).mean() > 0.95
