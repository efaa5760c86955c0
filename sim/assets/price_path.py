"""Recorded price paths for `index.fundamental: {type: replay}`: reading and checking a CSV file."""

import csv
import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, final

from pydantic import Field

from marginquake.sim.core.fields import SECOND, DataFile, Fraction
from marginquake.sim.core.problems import closest
from marginquake.sim.rules.registry import RuleBlock


class FundamentalConfig(RuleBlock):
    """The block of a fundamental: `type` names it."""

    type: str = "gbm"


class ReplayConfig(FundamentalConfig):
    """A real path from CSV; between its points a seeded Brownian bridge."""

    type: Literal["replay"] = "replay"
    file: DataFile = Field(description="CSV, relative to the scenario file")
    time_column: str = "time"
    price_column: str = "price"
    start: str | None = Field(None, description="First time used; default the first of the file")
    rescale: bool = Field(True, description="Scale so that the path starts at contract.initial_price")
    bridge_volatility: Fraction = Field(0.6, ge=0, description="Per year, of the bridge between points; 0 = lines")


@final
class PricePathError(ValueError):
    """A recording that cannot be replayed.  `field`: the field of `index.fundamental` that is to blame."""

    def __init__(self, field: str, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.suggestion = suggestion


@final
@dataclass(frozen=True)
class PricePath:
    """A recorded path: times in ns from its start (0 first, rising) and prices in quote units."""

    times_ns: tuple[int, ...]
    prices: tuple[float, ...]


def load_price_path(config: ReplayConfig, folder: Path) -> PricePath:
    """Read a replay's CSV: times ISO 8601 (UTC unless they say otherwise) or seconds; from `config.start` on.

    A start between two points is interpolated in log price.  Raises PricePathError.
    """
    file = folder / config.file
    try:
        times, prices = _read_points(config, file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PricePathError("file", f"{file} cannot be read: {error}") from None
    if config.start is not None and times:
        times, prices = _from(_start_ns(config.start), times, prices)
    if len(times) < 2:
        raise PricePathError(
            "file", f"{file}: a replay needs at least two points from {config.start or 'the first'} on"
        )
    return PricePath(tuple(t - times[0] for t in times), tuple(prices))


def _read_points(config: ReplayConfig, file: Path) -> tuple[list[int], list[float]]:
    times: list[int] = []
    prices: list[float] = []
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        names = list(reader.fieldnames or [])
        if not names:
            raise PricePathError("file", f"{file} is empty")
        for field, column in (("time_column", config.time_column), ("price_column", config.price_column)):
            if column not in names:
                message = f"{file}:1: no column {column!r}; it has {', '.join(names)}"
                raise PricePathError(field, message, closest(column, names))
        for row in reader:
            where = f"{file}:{reader.line_num}"
            time, price = row[config.time_column] or "", row[config.price_column] or ""
            times.append(_time_ns(time, where))
            prices.append(_price(price, where))
            if len(times) > 1 and times[-1] <= times[-2]:
                raise PricePathError("file", f"{where}: times must rise; {time!r} does not")
    return times, prices


def _parse_time(text: str) -> int | None:
    """ns since 1970, or since the origin of a clock in seconds; None if it is no time."""
    try:
        return round(float(text) * SECOND)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


def _time_ns(text: str, where: str) -> int:
    time_ns = _parse_time(text)
    if time_ns is None:
        raise PricePathError("file", f"{where}: time {text!r} is neither seconds nor ISO 8601")
    return time_ns


def _start_ns(text: str) -> int:
    time_ns = _parse_time(text)
    if time_ns is None:
        raise PricePathError("start", "must be a time like those of the file: seconds or ISO 8601")
    return time_ns


def _price(text: str, where: str) -> float:
    try:
        price = float(text)
    except ValueError:
        raise PricePathError("file", f"{where}: price {text!r} is not a number") from None
    if not (price > 0.0 and math.isfinite(price)):
        raise PricePathError("file", f"{where}: price {text!r} must be positive")
    return price


def _from(start_ns: int, times: list[int], prices: list[float]) -> tuple[list[int], list[float]]:
    first = bisect_right(times, start_ns)
    if first == 0 or first == len(times):
        raise PricePathError("start", "outside the recorded times, or at the last of them")
    before = first - 1
    share = (start_ns - times[before]) / (times[first] - times[before])
    log = math.log(prices[before]) + share * math.log(prices[first] / prices[before])
    price = prices[before] if share == 0.0 else math.exp(log)
    return [start_ns, *times[first:]], [price, *prices[first:]]
