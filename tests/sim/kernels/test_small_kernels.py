"""Small kernels against their obvious twins: the bitmap against a set, arrivals against a sort of tuples."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from marginquake.sim.core.records import COMMAND, EVENT
from marginquake.sim.kernels import JIT, bitmap, kernel
from marginquake.sim.kernels.arrival_order import unpack
from marginquake.sim.kernels.state import touching
from marginquake.sim.kernels.valuation import share
from marginquake.sim.market.streams import Stream
from marginquake.sim.venue.arrivals import Arrivals
from tests.support.strategies import MODERATE

ROWS = st.integers(-1, 12)


@st.composite
def events(draw: st.DrawFn) -> NDArray[Any]:
    """Events between accounts of a few rows; -1 is nobody."""
    pairs = draw(st.lists(st.tuples(ROWS, ROWS), max_size=30))
    out = np.zeros(len(pairs), EVENT)
    out["account"] = [account for account, _ in pairs]
    out["maker_account"] = [maker for _, maker in pairs]
    return out


@MODERATE
@given(events(), ROWS, ROWS)
def test_touching_finds_the_events_with_either_side_in_the_rows(said: NDArray[Any], first: int, last: int) -> None:
    pairs = zip(said["account"].tolist(), said["maker_account"].tolist(), strict=True)
    expected = [n for n, pair in enumerate(pairs) if any(first <= row <= last for row in pair)]
    places = np.full(len(said), -7, np.int64)
    assert touching(said, first, last, places) == len(expected)
    assert places.tolist() == expected + [-7] * (len(said) - len(expected))


@kernel
def play_bitmap(bits, doing, places, answers):
    """Do to the set what `doing` says: 0 add, 1 discard, 2 next above, 3 next below."""
    for n in range(doing.shape[0]):
        if doing[n] == 0:
            bitmap.add(bits, places[n])
        elif doing[n] == 1:
            bitmap.discard(bits, places[n])
        elif doing[n] == 2:
            answers[n] = bitmap.above(bits, places[n])
        else:
            answers[n] = bitmap.below(bits, places[n])
    return doing.shape[0]


@MODERATE
@given(st.sampled_from([1, 64, 65, 4096, 4097, 300_000]), st.data())
def test_the_bitmap_is_a_set_with_neighbours(size: int, data: st.DataObject) -> None:
    near_edges = [place for edge in (0, 63, 64, 4095, 4096, 262_143, 262_144) if (place := edge) < size]
    place = st.one_of(st.sampled_from([*near_edges, size - 1]), st.integers(0, size - 1))
    steps = data.draw(st.lists(st.tuples(st.integers(0, 3), place), max_size=60))
    members: set[int] = set()
    expected = []
    for doing, where in steps:
        if doing == 0:
            members.add(where)
        elif doing == 1:
            members.discard(where)
        above = min((member for member in members if member >= where), default=-1)
        below = max((member for member in members if member <= where), default=-1)
        expected.append({2: above, 3: below}.get(doing, 0))
    answers = np.zeros(len(steps), np.int64)
    columns = np.array(steps, np.int64).reshape(-1, 2)
    play_bitmap(bitmap.make_bitmap(size), columns[:, 0].copy(), columns[:, 1].copy(), answers)
    assert answers.tolist() == expected


@kernel
def shares(totals, parts, wholes, out):
    """`share` of each row."""
    for n in range(totals.shape[0]):
        out[n] = share(totals[n], parts[n], wholes[n])
    return totals.shape[0]


WHOLES = st.one_of(st.integers(1, 100), st.integers(1, 2**31 - 1))


@MODERATE
@given(st.lists(st.tuples(st.integers(-(2**40), 2**62), WHOLES, WHOLES), min_size=1, max_size=50))
def test_a_share_is_exact(rows: list[tuple[int, int, int]]) -> None:
    rows = [(total, min(pair), max(pair)) for total, *pair in rows]
    columns = np.array(rows, np.int64).T.copy()
    out = np.zeros(len(rows), np.int64)
    shares(*columns, out)
    assert out.tolist() == [total * part // whole for total, part, whole in rows]


@MODERATE
@given(
    st.integers(1, 300), st.sampled_from([1, 3, 10**8, 2**62]), st.integers(0, 2**32), st.sampled_from([0, -5, 10**9])
)
def test_commands_arrive_by_time_then_by_draw_then_as_said(count: int, spread: int, seed: int, start_ns: int) -> None:
    draw = np.random.default_rng(seed)
    stream = Stream(seed, "arrivals")
    tie_key = draw.integers(-(2**62), 2**62, 40)
    commands = np.zeros(count, COMMAND)
    commands["arrival_ns"] = start_ns + draw.integers(0, spread, count)
    commands["account"] = draw.integers(0, 40, count)
    commands["order_id"] = np.arange(count)
    arrivals = Arrivals(stream, tie_key)
    said = list(commands)
    for part in np.array_split(commands, 3):
        arrivals.add(part)
    for until_ns in (start_ns + spread // 2, start_ns + spread // 2, start_ns + spread):
        early = [row for row in said if row["arrival_ns"] <= until_ns]
        said = [row for row in said if row["arrival_ns"] > until_ns]
        ties = stream.uniform_at(until_ns, tie_key[[int(row["account"]) for row in early]])
        ranked = sorted(zip(early, ties.tolist(), strict=True), key=lambda pair: (pair[0]["arrival_ns"], pair[1]))
        assert arrivals.due(until_ns)["order_id"].tolist() == [int(row["order_id"]) for row, _ in ranked]


def test_draws_that_agree_in_the_bits_of_a_key_are_told_apart_by_the_others() -> None:
    commands = np.zeros(3, COMMAND)
    commands["order_id"] = [1, 2, 3]
    keys = np.array([(7 << 2) + place for place in range(3)])
    out = np.zeros(3, COMMAND)
    assert unpack(commands, np.array([0.5, 0.5, 0.5]), keys, 2, out) == 1
    assert out["order_id"].tolist() == [1, 2, 3]
    assert unpack(commands, np.array([0.5, 0.5, 0.25]), keys, 2, out) == 0


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_python_may_not_call_what_only_kernels_call() -> None:
    with pytest.raises(TypeError, match="share is for kernels to call"):
        share(10, 1, 2)
