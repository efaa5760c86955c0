"""Cascades calculated by hand come out of the real book, margin and engine; see tests/support/cascade_vectors.py."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.cascade_vectors import KINDS, Cascade, Outcome, run_cascade, uniform_cascade
from tests.support.paths import VENUE_VECTORS

FILE = Path(os.environ.get("MARGINQUAKE_VENUE_VECTORS") or VENUE_VECTORS)
VECTORS = [v for v in json.loads(FILE.read_text(encoding="utf-8")) if v["kind"] in KINDS]

LADDER = tuple((price, 10) for price in range(99, 39, -1))


@pytest.mark.skipif(FILE != VENUE_VECTORS, reason="about our own file")
def test_our_file_has_cascades_of_both_kinds() -> None:
    assert {vector["kind"] for vector in VECTORS} == set(KINDS)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_cascade_vector(vector: dict[str, Any]) -> None:
    found = KINDS[vector["kind"]](vector["inputs"])
    assert set(found) == set(vector["expected"])
    for name, expected in vector["expected"].items():
        assert found[name] == pytest.approx(expected, abs=vector["tolerance"]), name


@pytest.mark.parametrize(("depth", "fuel", "sell"), [(10, 3, 100), (7, 2.5, 11), (0.3, 0.1, 1), (4, 0.25, 0.5)])
def test_the_uniform_form_is_exact_for_any_fractions(depth: float, fuel: float, sell: float) -> None:
    found = uniform_cascade({"depth_per_tick": depth, "fuel_per_tick": fuel, "initial_sell": sell})
    assert found["ticks"] == pytest.approx(sell / (depth - fuel), rel=1e-12)
    assert found["total_sold"] == pytest.approx(sell / (1 - fuel / depth), rel=1e-12)
    assert found["amplification"] == pytest.approx(1 / (1 - fuel / depth), rel=1e-12)


def test_without_leverage_in_reach_a_sale_moves_the_price_by_itself_only() -> None:
    cascade = Cascade(entry_ticks=100, bids=LADDER, longs=((50, 10_000),), market_sell_lots=25)
    assert run_cascade(cascade) == Outcome(last_ticks=97, sold_lots=25, forced_lots=0, liquidated=())


def test_one_lot_more_can_set_off_another_account() -> None:
    bids = tuple((price, lots * 1_000) for price, lots in LADDER)
    longs = ((97, 15_000), (95, 15_000))
    outcomes = [run_cascade(Cascade(100, bids, longs, sell)) for sell in (20_000, 20_001, 25_001)]
    assert [outcome.liquidated for outcome in outcomes] == [(), (97,), (97, 95)]


def by_hand(cascade: Cascade) -> Outcome:
    """The same cascade as arithmetic on a list of bids."""
    bids = [list(line) for line in sorted(cascade.bids, reverse=True)]
    waiting = sorted(cascade.longs, reverse=True)
    called: list[tuple[int, int]] = []
    last, sold = cascade.entry_ticks, 0
    closed: list[int] = []

    def sell(lots: int) -> None:
        nonlocal last, sold
        while lots:
            level = next(line for line in bids if line[1])
            traded = min(lots, level[1])
            level[1] -= traded
            lots -= traded
            sold += traded
            last = level[0]

    sell(cascade.market_sell_lots)
    while True:
        called += [long for long in waiting if long[0] >= last]
        waiting = [long for long in waiting if long[0] < last]
        if not called:
            return Outcome(last, sold, sold - cascade.market_sell_lots, tuple(closed))
        price, lots = called.pop(0)
        closed.append(price)
        sell(lots)


@pytest.mark.parametrize("seed", range(12))
def test_any_cascade_is_what_arithmetic_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bids = tuple((price, int(rng.integers(1, 20)) * 1_000) for price in range(199, 60, -1))
    triggers = rng.choice(np.arange(100, 198), size=25, replace=False).tolist()
    lots = (rng.integers(1, 25, 25) * 1_000).tolist()
    cascade = Cascade(200, bids, tuple(zip(triggers, lots, strict=True)), int(rng.integers(5, 120)) * 1_000)
    found, expected = run_cascade(cascade), by_hand(cascade)
    # which of several called accounts goes first is the engine's choice (worst first); what is closed is not
    assert (found.last_ticks, found.sold_lots, found.forced_lots) == (
        expected.last_ticks,
        expected.sold_lots,
        expected.forced_lots,
    )
    assert sorted(found.liquidated) == sorted(expected.liquidated)
