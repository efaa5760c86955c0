"""Numbers as people write them."""

import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from marginquake.analysis import formats
from marginquake.sim.cli.common import clock
from marginquake.sim.core.fields import (
    DURATION_UNITS,
    WRITTEN,
    Amount,
    Block,
    Duration,
    Fraction,
    format_duration,
    parse_amount,
    parse_duration,
    parse_fraction,
    parse_time,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15)


class Rules(Block):
    period: Duration = Field(1_000_000_000, gt=0)
    rate: Fraction = Field(0.01, gt=-1, lt=1)
    size: Amount = Field(1e6, ge=0)
    band: Fraction | None = Field(0.1, gt=0)
    bound: Literal["none"] | Fraction = "none"
    decay: tuple[Duration, ...] = (1, 2)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("10ns", 10),
        ("500us", 500_000),
        ("500µs", 500_000),
        ("2ms", 2_000_000),
        ("100 ms", 100_000_000),
        ("1s", 10**9),
        ("1.5s", 1_500_000_000),
        ("0.1s", 10**8),
        ("30min", 1_800 * 10**9),
        ("4h", 14_400 * 10**9),
        ("1d", 86_400 * 10**9),
        ("-5s", -5 * 10**9),
        ("1e3s", 10**12),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_int_nanoseconds(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds
    assert parse_duration(text) == nanoseconds
    assert isinstance(parse_duration(text), int)


@pytest.mark.parametrize(
    "text", ["5", "1.5", "", "ms", "5m", "5 parsecs", "1h30min", "12:30", "0.5ns", "1e30d", "--5s"]
)
def test_a_text_that_is_no_duration_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|duration|nanoseconds|clock"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.01", 0.01), ("60%", 0.6), ("5bps", 0.0005), ("-2bps", -0.0002), ("1e-4", 0.0001), ("12.5 %", 0.125)],
)
def test_a_fraction_is_a_float(text: str, value: float) -> None:
    assert parse_fraction(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("1e6", 1e6), ("1.5M", 1.5e6), ("20k", 20e3), ("2bn", 2e9), ("-3k", -3e3), ("7", 7.0)]
)
def test_an_amount_is_a_float(text: str, value: float) -> None:
    assert parse_amount(text) == value


@given(st.integers(-(2**62), 2**62))
def test_a_duration_survives_being_written(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.integers(1, 10_000), st.sampled_from(sorted(DURATION_UNITS)))
def test_a_whole_number_of_any_unit_is_exact(count: int, unit: str) -> None:
    assert parse_duration(f"{count}{unit}") == count * DURATION_UNITS[unit]


@given(FINITE)
def test_a_number_written_with_all_digits_is_the_same_number(value: float) -> None:
    assert parse_fraction(repr(value)) == value
    assert parse_amount(repr(value)) == value


@given(st.decimals(-(10**6), 10**6, places=3))
def test_percent_and_thousands_are_rounded_once(number: Any) -> None:
    assert parse_fraction(f"{number}%") == float(number / 100)
    assert parse_fraction(f"{number}bps") == float(number / 10_000)
    assert parse_amount(f"{number}k") == float(number * 1000)


@given(st.integers(1, 2**62), FINITE.filter(lambda x: abs(x) < 1), FINITE.filter(lambda x: x >= 0))
def test_a_model_survives_being_dumped(period: int, rate: float, size: float) -> None:
    rules = Rules(period=period, rate=rate, size=size, bound=rate)
    dumped = rules.model_dump(mode="json")
    assert isinstance(dumped["period"], str)
    assert Rules.model_validate(dumped, context=WRITTEN) == rules


def test_bounds_hold_after_parsing() -> None:
    for wrong in ({"period": "-1s"}, {"period": "0s"}, {"rate": "150%"}, {"size": "-1k"}, {"band": "0%"}):
        with pytest.raises(ValidationError):
            Rules.model_validate(wrong, context=WRITTEN)
    rules = Rules.model_validate({"period": "2ms", "rate": "-5%", "band": None, "bound": "5bps"}, context=WRITTEN)
    assert (rules.period, rules.rate, rules.band, rules.bound) == (2_000_000, -0.05, None, 0.0005)


def test_a_bare_number_is_a_duration_in_python_only() -> None:
    assert Rules(period=5).period == 5
    with pytest.raises(ValidationError, match="needs a unit"):
        Rules.model_validate({"period": 5}, context=WRITTEN)
    with pytest.raises(ValidationError, match=r"write 100ms or 0\.1s"):
        Rules.model_validate({"period": 0.1}, context=WRITTEN)


@pytest.mark.parametrize("value", [True, math.nan, math.inf, [1], {}, None, "", "inf", "1,000"])
@pytest.mark.parametrize("kind", [Duration, Fraction, Amount])
def test_nothing_else_is_a_number(kind: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value, context=WRITTEN)


def test_plain_dumps_keep_numbers() -> None:
    assert Rules().model_dump()["period"] == 1_000_000_000
    assert Rules().model_dump(mode="json")["decay"] == ["1ns", "2ns"]


# times on the command line


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3:10", 190), ("0:03:10", 190), ("1:03:10", 3790), ("-0:05:00", -300), ("90:00", 5400), ("0:00.5", 0.5),
        ("1h30min", 5400), ("17 min 40 s", 1060), ("-1h 30min", -5400), (" 3:10 ", 190),
    ],
)  # fmt: skip
def test_a_time_may_be_written_as_our_output_writes_it(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["3:70", "1:60:00", "3:1", "3:", ":10", "1:2:3:4", "90", "3:10s", "1h-30min", "12h5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|duration|unit"):
        parse_time(text)


@given(st.integers(-(10**6), 10**6))
def test_a_time_reads_what_is_printed(seconds: int) -> None:
    assert parse_time(formats.clock(seconds)) == parse_time(clock(seconds)) == seconds * 10**9


@given(st.integers(0, 599) | st.integers(600, 10**7))
def test_a_length_of_time_loses_no_second_and_has_no_exponent(seconds: int) -> None:
    assert parse_time(formats.duration(seconds)) == seconds * 10**9
    assert "e+" not in formats.duration(seconds + 0.25)
