"""Price files as series to measure: which column is the volume, and what cannot be read."""

from pathlib import Path

import pytest

from marginquake.sim.assets.price_path import PricePathError
from marginquake.sim.assets.price_series import read_price_series


def write(folder: Path, *lines: str) -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "name", "place"),
    [
        ("open_time,open,high,low,close,volume,close_time,quote_volume,count,x,y,z", "quote_volume", 7),
        ("time,open,high,low,close,Volume BTC,Volume USDT", "Volume USDT", 6),
        ("time,open,high,low,close,Volume BTC", "Volume BTC", 5),
        ("Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Trades", "Quote asset volume", 7),
        ("open_time_utc,open,high,low,close,volume_btc,quote_volume_usdt", "quote_volume_usdt", 6),
        ("time,open,high,low,close,v", "v", 5),
        ("time,open,high,low,close,turnover", "turnover", 5),
        ("time,open,high,low,close,amount", "", 0),
        ("time,price,qty", "qty", 2),
        ("time,price,vega", "", 0),
    ],
)
def test_the_volume_is_found_by_its_name(tmp_path: Path, header: str, name: str, place: int) -> None:
    width = header.count(",") + 1
    first = [str(1_700_000_000 + 60 * (k == 1)) if k == 0 else "7" for k in range(width)]
    second = ["1700000060", *("7" for _ in range(width - 1))]
    if name:
        first[place], second[place] = "11", "13"
    found = read_price_series(write(tmp_path, header, ",".join(first), ",".join(second)))
    assert found.volume_name == name
    assert found.volumes == ((11.0, 13.0) if name else None)
    assert found.prices == (7.0, 7.0)


@pytest.mark.parametrize(
    ("rows", "form", "prices", "volumes"),
    [
        (("1700000000000,1,9,1,2,50,1700000059999,90,1,1,1,0", "1700000060000,2,9,1,3,60,1700000119999,90,1,1,1,0"),
         None, (2.0, 3.0), (50.0, 60.0)),
        (("1700000000,1,9,3,5,50", "1700000060,1,9,5,6,60"), "coinbase", (5.0, 6.0), (50.0, 60.0)),
        (("1700000000,50,5,9,1,3", "1700000060,60,6,9,1,5"), "gate", (5.0, 6.0), (50.0, 60.0)),
        (("1700000000,5", "1700000060,6"), None, (5.0, 6.0), None),
        (("1700000000,1,9,1,5", "1700000060,5,9,1,6"), "binance", (5.0, 6.0), None),
    ],
)  # fmt: skip
def test_without_a_header_the_volume_stands_where_exports_have_it(
    tmp_path: Path,
    rows: tuple[str, ...],
    form: str | None,
    prices: tuple[float, ...],
    volumes: tuple[float, ...] | None,
) -> None:
    found = read_price_series(write(tmp_path, *rows), form)
    assert (found.prices, found.volumes) == (prices, volumes)
    assert found.times_ns[1] - found.times_ns[0] == 60 * 10**9


def test_rows_stand_as_they_are(tmp_path: Path) -> None:
    found = read_price_series(write(tmp_path, "time,price", "120,3", "60,2", "60,1"))
    assert found.times_ns == (120 * 10**9, 60 * 10**9, 60 * 10**9)
    assert found.prices == (3.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("lines", "options", "field", "message"),
    [
        (("time,cost", "0,1"), {}, "price_column", "no column 'price'; it has time, cost"),
        (("time,price,v", "0,1,x"), {}, "volume_column", "prices.csv:2: volume 'x'"),
        (("time,price,v", "0,1,-1"), {}, "volume_column", "prices.csv:2: volume '-1'"),
        (("time,price,v", "0,1,nan"), {}, "volume_column", "prices.csv:2: volume 'nan'"),
        (("time,price,v", "0,0,1"), {}, "file", "prices.csv:2: price '0' must be positive"),
        (("time,price", "0,1"), {"volume_column": "lots"}, "volume_column", "no column 'lots'"),
        (("time,price", "0,1"), {"form": "binanse"}, "format", "no form 'binanse' of price files; there are points"),
        (("time,price", "soon,1"), {}, "file", "prices.csv:2"),
        (("time,price",), {}, "file", "no rows"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, lines: tuple[str, ...], options: dict[str, str], field: str, message: str
) -> None:
    with pytest.raises(PricePathError) as refused:
        read_price_series(write(tmp_path, *lines), **options)
    assert message in str(refused.value)
    assert refused.value.field == field


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PricePathError, match="cannot be read: No such file"):
        read_price_series(tmp_path / "none.csv")
