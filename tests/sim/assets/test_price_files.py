"""Facts about price files as people have them: units of time, exports of exchanges, order, gaps, refusals."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginquake.sim.assets.price_path import PricePath, PricePathError, ReplayConfig, load_price_path
from marginquake.sim.assets.price_series import read_price_series
from marginquake.sim.assets.price_times import UNITS, TimeError, read_times
from marginquake.sim.core.fields import SECOND
from marginquake.sim.scenario.distributions.discrete import Empirical

START_S = 1_722_816_000
"""2024-08-05 00:00:00 UTC."""
MINUTE = 60 * SECOND
CANDLES = [(100.0, 104.0, 99.0, 103.0), (103.5, 103.5, 90.0, 91.0), (91.0, 95.0, 88.0, 94.0)]
"""Open, high, low, close of three minutes; the second opens away from where the first closed."""
ACTING = [(0, 100.0), (MINUTE, 103.0), (2 * MINUTE, 91.0), (3 * MINUTE, 94.0)]
"""What is replayed of them: the first open, then each close at the end of its minute."""
ISO = ["2024-08-05T00:00:00Z", "2024-08-05T00:01:00Z", "2024-08-05T00:02:00Z"]


def load(folder: Path, text: str | bytes, **options: object) -> PricePath:
    data = text.encode() if isinstance(text, str) else text
    (folder / "p.csv").write_bytes(data)
    return load_price_path(ReplayConfig.model_validate({"file": "p.csv", **options}), folder)


def refusal(folder: Path, text: str | bytes, **options: object) -> PricePathError:
    with pytest.raises(PricePathError) as caught:
        load(folder, text, **options)
    return caught.value


def points(path: PricePath) -> list[tuple[int, float]]:
    return list(zip(path.times_ns, path.prices, strict=True))


def binance(unit: str = "ms", header: bool = False, candles: list[tuple[float, ...]] = CANDLES) -> str:
    """The twelve columns of a kline export: data.binance.vision writes ms, and us since 2025."""
    names = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    )
    scale = SECOND // UNITS[unit]
    rows = [
        f"{(START_S + 60 * n) * scale},{o:.2f},{h:.2f},{low:.2f},{c:.2f},1234.567,"
        f"{(START_S + 60 * (n + 1)) * scale - 1},7e7,4321,600.1,3.5e7,0\n"
        for n, (o, h, low, c) in enumerate(candles)
    ]
    return (names if header else "") + "".join(rows)


# --- units of time


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_since_1970_are_read_in_the_unit_of_their_size(tmp_path: Path, unit: str) -> None:
    scale = SECOND // UNITS[unit]
    text = "time,price\n" + "".join(f"{(START_S + 60 * n) * scale},{100 + n}\n" for n in range(5))
    path = load(tmp_path, text)
    assert points(path) == [(n * MINUTE, 100.0 + n) for n in range(5)]
    assert path.recording.unit == unit
    assert path.recording.first_ns == START_S * SECOND


@settings(max_examples=60, deadline=None)
@given(st.integers(10**8, 4_102_444_800), st.sampled_from(sorted(UNITS)), st.integers(0, 10**9 - 1))
def test_every_moment_between_1973_and_2100_is_told_in_every_unit(second: int, unit: str, rest: int) -> None:
    moment = second * SECOND + (rest // UNITS[unit] * UNITS[unit] if second < 4_102_444_800 else 0)
    assert read_times([str(moment // UNITS[unit])], None) == ([moment // UNITS[unit] * UNITS[unit]], unit)


@pytest.mark.parametrize("texts", [["0", "60", "120"], ["-60", "0.5", "1e3"], ["0", "86400", "31536000"]])
def test_small_numbers_are_seconds(texts: list[str]) -> None:
    assert read_times(texts, None) == ([round(float(text) * SECOND) for text in texts], "s")


@pytest.mark.parametrize(
    "texts",
    [
        ["20240805", "20240806"],
        ["2024-08-05", "2024-08-06"],
        ["2024/08/05", "2024/08/06"],
        ["2024.08.05", "2024.08.06"],
        ["05.08.2024 00:00:00", "06.08.2024 00:00:00"],
        ["2024-08-05 00:00:00", "2024-08-06 00:00:00"],
        ["2024-08-05T00:00:00Z", "2024-08-06T00:00:00Z"],
        ["2024-08-05T02:00:00+02:00", "2024-08-06T00:00:00.000000000+00:00"],
        ["2024-08-05 00:00:00 UTC", "2024-08-06 00:00:00 UTC"],
        ["20240805000000", "20240806000000"],
        ["202408050000", "202408060000"],
        ["2024-08-05", "20240806"],
    ],
)
def test_dates_are_read_with_and_without_zone_time_and_separators(texts: list[str]) -> None:
    assert read_times(texts, None) == ([START_S * SECOND, (START_S + 86_400) * SECOND], "iso")


def test_eight_digits_that_are_no_dates_throughout_are_seconds() -> None:
    assert read_times(["20240830", "20240890"], None)[1] == "s"


def test_nanoseconds_of_a_date_are_kept() -> None:
    assert read_times(["2024-08-05 00:00:00.123456789"], None)[0] == [START_S * SECOND + 123_456_789]


@pytest.mark.parametrize(
    ("texts", "place", "message"),
    [
        (["5e10"], 0, "cannot be judged"),
        (["9999999999"], 0, "time_unit: ms"),
        (["1e30"], 0, "cannot be judged"),
        (["soon"], 0, "neither seconds nor ISO 8601"),
        (["08/05/2024"], 0, "day or month first"),
        (["1722816000000", "0"], 1, "not written as the first one"),
        (["0", "1722816000000"], 1, "not written as the first one"),
        (["2024-08-05", "1722816000"], 1, "not written as the first one"),
        (["1722816000", "2024-08-05"], 1, "not written as the first one"),
        (["1722816000", ""], 1, "neither seconds nor ISO 8601"),
        (["inf"], 0, "neither seconds nor ISO 8601"),
        (["nan"], 0, "neither seconds nor ISO 8601"),
    ],
)
def test_a_time_that_cannot_be_judged_is_refused_with_the_way_out(texts: list[str], place: int, message: str) -> None:
    with pytest.raises(TimeError, match=message) as caught:
        read_times(texts, None)
    assert caught.value.place == place


@pytest.mark.parametrize("field", ["time_unit", "format"])
def test_a_named_unit_is_taken_whatever_the_size(tmp_path: Path, field: str) -> None:
    path = load(tmp_path, "time,price\n0,100\n60000,101\n", **{field: "ms"})
    assert path.times_ns == (0, MINUTE)
    assert "no number of ms" in str(refusal(tmp_path, "time,price\n2024-08-05,1\n2024-08-06,2\n", **{field: "ms"}))


def test_two_names_for_the_unit_must_agree() -> None:
    said = ReplayConfig.model_validate({"file": "p.csv", "format": "ms", "time_unit": "s"})
    assert [field for field, _, _ in said.problems()] == ["time_unit"]


def test_a_file_whose_unit_changes_is_read_by_size_and_says_where(tmp_path: Path) -> None:
    """Binance went from ms to us on 1 January 2025: people join the months."""
    later = "".join(
        f"{(START_S + 60 * n) * 10**6},94,94,94,{94 + n},1,{(START_S + 60 * (n + 1)) * 10**6 - 1},1,1,1,1,0\n"
        for n in range(3, 5)
    )
    path = load(tmp_path, binance("ms") + later)
    assert path.times_ns == tuple(n * MINUTE for n in range(6))
    assert path.recording.unit == "epoch"
    assert path.recording.unit_changes_at == 4


# --- candles


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("unit", ["ms", "us", "ns", "s"])
def test_a_kline_export_is_replayed_with_each_close_at_the_end_of_its_candle(
    tmp_path: Path, unit: str, header: bool
) -> None:
    path = load(tmp_path, binance(unit, header))
    assert points(path) == ACTING
    assert (path.recording.format, path.recording.unit, path.recording.rows) == ("candles", unit, 3)
    assert path.recording.interval_ns == MINUTE


def header_form(names: str, row: str, delimiter: str = ",") -> str:
    """One line a candle; `row` may use iso, s, ms, day, clock, o, h, l, c."""
    lines = [names]
    for n, (o, h, low, c) in enumerate(CANDLES):
        moment = datetime.fromtimestamp(START_S + 60 * n, UTC)
        s = START_S + 60 * n
        facts = {"iso": f"{moment:%Y-%m-%d %H:%M:%S}", "day": f"{moment:%Y-%m-%d}", "clock": f"{moment:%H:%M:%S}"}
        lines.append(row.format(**facts, s=s, ms=s * 1000, end=s * 1000 + 59_999, o=o, h=h, l=low, c=c))
    return "\n".join(lines).replace(",", delimiter) + "\n"


FORMS = {
    "bybit": header_form(
        "startTime,openPrice,highPrice,lowPrice,closePrice,volume,turnover", "{ms},{o},{h},{l},{c},1,1"
    ),
    "bybit archive": header_form("start_at,symbol,period,open,high,low,close", "{s},BTCUSD,1,{o},{h},{l},{c}"),
    "okx": header_form(
        "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm",
        "BTC-USDT,{o},{h},{l},{c},1,1,1,{ms},1",
    ),
    "coinbase": header_form("time,low,high,open,close,volume", "{s},{l},{h},{o},{c},1"),
    "kraken": header_form("timestamp,open,high,low,close,vwap,volume,trades", "{s},{o},{h},{l},{c},{c},1,1"),
    "binance, spaced names": header_form(
        "Open time,Open,High,Low,Close,Volume,Close time", "{ms},{o},{h},{l},{c},1,{end}"
    ),
    "yfinance": header_form("Datetime,Open,High,Low,Close,Adj Close,Volume", "{iso}+00:00,{o},{h},{l},{c},{c},0"),
    "yfinance, three header lines": header_form(
        "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDatetime,,,,,",
        "{iso},{c},{h},{l},{o},0",
    ),
    "CryptoDataDownload": header_form(
        "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount",
        "{ms},{iso},BTCUSDT,{o},{h},{l},{c},1,1,1",
    ),
    "coinmarketcap": header_form("timeOpen;timeClose;open;high;low;close", "{iso}Z;{iso};{o};{h};{l};{c}"),
    "date and time apart": header_form("Date,Time,Open,High,Low,Close", "{day},{clock},{o},{h},{l},{c}"),
    "MetaTrader": header_form("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>", "{day},{clock},{o},{h},{l},{c}", "\t"),
    "only the end": header_form("close_time,open,high,low,close", "{end},{o},{h},{l},{c}"),
    "investing": header_form('"Date","Price","Open","High","Low"', '"{iso}","{c}","{o}","{h}","{l}"'),
    "no header, bybit": header_form("", "{ms},{o},{h},{l},{c},1,1"),
    "no header, kraken": header_form("", "{s},{o},{h},{l},{c},1,1"),
    "no header, coinbase": header_form("", "{s},{l},{h},{o},{c},1"),
    "no header, bitfinex": header_form("", "{ms},{o},{c},{h},{l},1"),
    "no header, gate": header_form("", "{s},5000,{c},{h},{l},{o}"),
    "names with a zone or unit": header_form("open_time_utc,open,high,low,close,volume_btc", "{iso},{o},{h},{l},{c},1"),
    "a unit in brackets": header_form("Timestamp (ms),Open (USD),High,Low,Close (USD)", "{ms},{o},{h},{l},{c}"),
    "pandas, an index without a name": header_form(",open,high,low,close,volume", "{iso}+00:00,{o},{h},{l},{c},1"),
    "pandas, a numbered index": header_form(",timestamp,open,high,low,close", "7,{ms},{o},{h},{l},{c}"),
    "a name nobody knows": header_form("moment,open,high,low,close", "{ms},{o},{h},{l},{c}"),
    "semicolons": header_form("time,open,high,low,close", "{iso},{o},{h},{l},{c}", ";"),
    "tabs": header_form("time,open,high,low,close", "{iso},{o},{h},{l},{c}", "\t"),
    "a byte order mark and Windows lines": "\ufeff"
    + header_form("time,open,high,low,close", "{iso},{o},{h},{l},{c}").replace("\n", "\r\n"),
    "a remark on top": header_form("# from the exchange\n\ntime,open,high,low,close", "{iso},{o},{h},{l},{c}"),
    "a spreadsheet's first line": header_form("sep=;\ntime;open;high;low;close", "{iso};{o};{h};{l};{c}"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_exports_are_read_in_the_forms_people_have(tmp_path: Path, form: str) -> None:
    assert points(load(tmp_path, FORMS[form])) == ACTING


def test_utf_16_is_read(tmp_path: Path) -> None:
    assert points(load(tmp_path, binance(header=True).encode("utf-16"))) == ACTING


@pytest.mark.parametrize("form", FORMS)
def test_rows_that_are_newest_first_are_turned_round(tmp_path: Path, form: str) -> None:
    lines = FORMS[form].splitlines()
    text = "\n".join([*lines[:-3], *lines[:-4:-1]]) + "\n"
    path = load(tmp_path, text)
    assert points(path) == ACTING
    assert path.recording.newest_first


def test_after_a_gap_a_candle_begins_with_its_open(tmp_path: Path) -> None:
    lines = binance(candles=[*CANDLES, (95.0, 96.0, 94.0, 95.5), (97.0, 99.0, 96.0, 98.0)]).splitlines(True)
    path = load(tmp_path, "".join([*lines[:3], lines[4]]))
    assert points(path) == [*ACTING, (4 * MINUTE, 97.0), (5 * MINUTE, 98.0)]
    (gap,) = path.recording.gaps
    assert (gap.line, gap.missing, gap.length_ns) == (3, 1, 2 * MINUTE)


def test_a_candle_export_may_be_cut_where_told(tmp_path: Path) -> None:
    path = load(tmp_path, binance(), start="2024-08-05T00:01:00Z")
    assert points(path) == [(0, 103.0), (MINUTE, 91.0), (2 * MINUTE, 94.0)]
    assert load(tmp_path, binance(), start=(START_S + 60) * 1000).prices == path.prices
    half = load(tmp_path, binance(), start="2024-08-05 00:00:30")
    assert points(half)[0] == (0, pytest.approx(math.sqrt(100 * 103)))


def test_named_columns_are_points_at_the_times_of_their_rows(tmp_path: Path) -> None:
    named = load(tmp_path, binance(header=True), time_column="close_time", price_column="close")
    assert points(named) == [(0, 103.0), (MINUTE, 91.0), (2 * MINUTE, 94.0)]
    assert named.recording.format == "points"
    assert load(tmp_path, binance(), time_column=7, price_column=5) == named
    candles = load(tmp_path, binance(header=True), format="candles", price_column="high")
    assert points(candles) == [(0, 100.0), (MINUTE, 104.0), (2 * MINUTE, 103.5), (3 * MINUTE, 95.0)]


def test_two_columns_without_a_header_are_time_and_price(tmp_path: Path) -> None:
    assert points(load(tmp_path, "0,100\n60,101\n")) == [(0, 100.0), (MINUTE, 101.0)]
    assert points(load(tmp_path, "2024-08-05,100\n2024-08-06,101\n")) == [(0, 100.0), (86_400 * SECOND, 101.0)]


def test_columns_in_an_order_that_cannot_be_told_want_a_name(tmp_path: Path) -> None:
    rows = "1722816000,100,103,105,99,104\n1722816060,103,104,106,101,105\n"  # the last may be volume, or the open
    error = refusal(tmp_path, rows)
    assert error.field == "format"
    assert "format: binance" in str(error)
    assert load(tmp_path, rows, format="bitfinex").prices == (100.0, 103.0, 104.0)
    assert load(tmp_path, rows, format="kucoin").prices == (100.0, 103.0, 104.0)
    assert load(tmp_path, rows, format="gate").prices == (104.0, 103.0, 104.0)
    other = "1722816000,100,105,101,103,1\n1722816060,101,106,107,104,1\n"
    assert "in no known order" in str(refusal(tmp_path, other))


def test_twelve_columns_are_klines_even_where_high_and_low_do_not_hold_open_and_close(tmp_path: Path) -> None:
    wrong = [(o, 0.0, 0.0, c) for o, _, _, c in CANDLES]
    assert points(load(tmp_path, binance(candles=wrong))) == ACTING


def test_candles_that_do_not_move_need_no_name(tmp_path: Path) -> None:
    assert load(tmp_path, "1722816000,5,5,5,5,1\n1722816060,5,5,5,5,1\n").prices == (5.0, 5.0, 5.0)


def test_a_name_before_the_time_shifts_the_columns(tmp_path: Path) -> None:
    rows = "".join(f"BTCUSDT,{row}\n" for row in binance().splitlines())
    assert points(load(tmp_path, rows, time_column=2)) == ACTING
    assert refusal(tmp_path, rows).field == "format"
    short = "".join(f"BTCUSDT,{START_S + 60 * n},{o},{h},{low},{c}\n" for n, (o, h, low, c) in enumerate(CANDLES))
    assert points(load(tmp_path, short, time_column=2)) == ACTING


# --- refusals


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_named_unit_does_not_take_numbers_beyond_all_clocks(tmp_path: Path, unit: str) -> None:
    for text in ("1e900", "9" * 5000):
        assert f"is no number of {unit}" in str(refusal(tmp_path, f"time,price\n0,1\n{text},2\n", time_unit=unit))


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("time,close\n0,1\n60,2\n", "price_column", r"p.csv:1: no column 'price'; it has time, close"),
        ("when,price\n0,1\n60,2\n", "time_column", r"p.csv:1: no column 'time'"),
        ("time,price\n0,1\n0,2\n", "file", r"p.csv:3: times must rise; '0' does not: it is there twice"),
        ("time,price\n0,1\n60,2\n30,3\n", "file", r"p.csv:4: times must rise; '30' does not; sort"),
        ("time,price\n90,1\n60,2\n70,3\n", "file", r"p.csv:4: times must rise, or fall .* '70' breaks"),
        ("time,price\n90,1\n60,2\n60,3\n", "file", r"p.csv:4: .* '60' breaks"),
        ("time;price\n0;1,5\n60;2\n", "file", r"p.csv:2: price '1,5' is not a number; write it with a decimal point"),
        ('time,price\n0,"54,018.2"\n60,2\n', "file", r"p.csv:2: price '54,018.2' is not a number; .* thousands"),
        ("0,1,2\n60,1,2\n", "price_column", r"p.csv:1: no header line and 3 columns; .* price_column: 2"),
        ("# nothing\n", "file", "is empty"),
        ('[[1722816000000,"1","1","1","1"]]', "file", "p.csv is JSON; save it as CSV"),
        (f"time,price\n{'9' * 5000},1\n60,2\n", "file", r"p.csv:2: time '9{37}...' cannot be judged"),
        (binance(candles=CANDLES[:1]), "file", "at least two points"),
        (binance().replace("103.50", "null"), "file", r"p.csv:2: price 'null' is not a number"),
        (binance() + binance(), "file", r"p.csv:4: times must rise"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_its_line(tmp_path: Path, text: str, field: str, message: str) -> None:
    with pytest.raises(PricePathError, match=message) as caught:
        load(tmp_path, text)
    assert caught.value.field == field


def test_times_that_a_spreadsheet_has_rounded_are_refused(tmp_path: Path) -> None:
    assert "p.csv:3: times must rise" in str(refusal(tmp_path, "time,price\n1.72282E+12,1\n1.72282E+12,2\n"))


def test_a_price_file_is_read_again_when_its_content_is_another(tmp_path: Path) -> None:
    assert load(tmp_path, "time,price\n0,1\n60,2\n").prices == (1.0, 2.0)
    assert load(tmp_path, "time,price\n0,1\n60,3\n").prices == (1.0, 3.0)


@pytest.mark.parametrize(
    ("beginning", "said"),
    [
        (b"PAR1\x15\x04", "is a Parquet file; write it as CSV"),
        (b"PK\x03\x04\x14", "is a spreadsheet or a zip file; unpack it, or export it as CSV"),
        (b"\x1f\x8b\x08\x00", "is compressed; unpack it first"),
        (b"\xd0\xcf\x11\xe0\xa1", "is a spreadsheet; export it as CSV"),
    ],
)
def test_what_is_no_text_is_told_by_what_it_is(tmp_path: Path, beginning: bytes, said: str) -> None:
    file = tmp_path / "p.csv"
    assert said in str(refusal(tmp_path, beginning + bytes(range(256))))
    with pytest.raises(PricePathError, match=said):
        read_price_series(file)
    with pytest.raises(ValueError, match=said):
        Empirical(file=str(file), column="x").support()
