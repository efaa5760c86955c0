"""The committed market data say what scenarios/data/README.md says of them."""

import csv

import pytest

from marginquake.sim.assets.price_path import ReplayConfig, load_price_path
from marginquake.sim.core.fields import SECOND
from tests.support.paths import SCENARIOS

DATA = SCENARIOS / "data"


@pytest.mark.parametrize(
    ("name", "points", "first", "last", "highest", "lowest", "lowest_second"),
    [
        ("btcusdt_2024-08-05.csv", 216, 57_224.6, 54_229.3, 57_284.1, 52_222.0, 37 * 60 + 20),
        ("btcusdt_2020-03-12.csv", 256, 7279.39, 6357.84, 7287.1, 5199.17, 31 * 60 + 20),
    ],
)
def test_price_paths_are_whole_minutes_of_four_points(
    name: str, points: int, first: float, last: float, highest: float, lowest: float, lowest_second: int
) -> None:
    path = load_price_path(ReplayConfig(file=name), DATA)
    assert len(path.prices) == points
    assert (path.prices[0], path.prices[-1]) == (first, last)
    assert (max(path.prices), min(path.prices)) == (highest, lowest)
    assert path.times_ns[path.prices.index(lowest)] == lowest_second * SECOND
    expected = [(60 * minute + second) * SECOND for minute in range(points // 4) for second in (0, 20, 40, 59)]
    assert list(path.times_ns) == expected
    for minute in range(points // 4):
        opened, *_, closed = path.prices[4 * minute : 4 * minute + 4]
        extremes = path.prices[4 * minute + 1 : 4 * minute + 3]
        assert min(extremes) <= min(opened, closed)
        assert max(extremes) >= max(opened, closed)
        assert (extremes[0] < extremes[1]) == (closed >= opened) or extremes[0] == extremes[1]


def test_the_depth_profile_is_cumulative_on_both_sides() -> None:
    with (DATA / "depth_profile_btcusdt.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 34
    for side in ("bid", "ask"):
        part = [row for row in rows if row["side"] == side]
        assert [float(row["distance_bps"]) for row in part][-5:] == [100, 200, 300, 400, 500]
        for column in ("distance_bps", "cumulative_btc", "cumulative_usdt", "cumulative_d1"):
            values = [float(row[column]) for row in part]
            assert values == sorted(values)
            assert values[0] > 0
    one_percent = [float(row["cumulative_d1"]) for row in rows if row["distance_bps"] == "100"]
    assert sum(one_percent) / 2 == pytest.approx(1.0, abs=1e-3)
    assert {row["source"] for row in rows} == {"snapshot_2024-08-08", "median_2025-10-10"}


def test_every_data_file_is_described() -> None:
    described = (DATA / "README.md").read_text(encoding="utf-8")
    assert all(f"`{file.name}`" in described for file in DATA.glob("*.csv"))
