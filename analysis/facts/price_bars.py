"""Prices at the ends of bars of one length: of a price file, and of a run sampled like it."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import numpy as np

from marginquake.analysis.facts.prices import HOUR_S, LEAST_RETURNS, MINUTE_S, Prices, held, time_text
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.market_quality import sample
from marginquake.analysis.statistics.swings import Swing
from marginquake.sim.core.typing import Bools, Floats, Ints

ON_GRID = 0.01
"""How far a time may lie from the end of its bar, of the bar."""
REGULAR = 0.95
"""Share of steps that must be whole bars; below it the times are no bars."""
HALT_S = HOUR_S
"""A stretch without volume as long as this is a halt, and no price."""
MOST_BARS = 20_000_000


class NotBars(ValueError):
    """A file whose times or prices cannot be taken as bars; the message says why and what to do."""


@final
@dataclass(frozen=True, eq=False)
class PriceSeries:
    """What a price file holds: times in ns, prices, and volumes in any one unit (None where it has none)."""

    times_ns: Ints
    prices: Floats
    volumes: Floats | None = None


@final
@dataclass(frozen=True, eq=False)
class Bars(Prices):
    """A log price every `bar_s` seconds, NaN where a bar is missing, and the volume of the bars but the first.

    `first`, `last`: the steps that count; a block of a series knows what comes after it, so that the pools of all
    blocks add up to that of the series.
    """

    bar_s: float
    log_prices: Floats
    volumes: Floats | None = None
    no_volume: str = "the file has no volume"
    first: int = 0
    last: int | None = None
    _kept: dict[float, Floats] = field(default_factory=dict, repr=False)

    @property
    def every_s(self) -> float:
        """Length of a bar, seconds."""
        return self.bar_s

    @property
    def steps(self) -> int:
        """Bars that count."""
        return (len(self.log_prices) - 1 if self.last is None else self.last) - self.first

    @property
    def duration_s(self) -> float:
        """Time that counts, seconds; missing bars included."""
        return self.steps * self.bar_s

    def log_price(self, step_s: float) -> Floats:
        """Log price at every so manieth bar."""
        return self.log_prices[:: self._bars_of(step_s)]

    def volume(self, step_s: float) -> Floats:
        """What was traded in each step; NaN where a bar of it is missing."""
        if self.volumes is None:
            raise Unmeasurable(self.no_volume)
        bars = self._bars_of(step_s)
        whole = len(self.volumes) // bars * bars
        return np.asarray(self.volumes[:whole].reshape(-1, bars).sum(axis=1)[self.counted(step_s)], np.float64)

    def counted(self, step_s: float) -> slice:
        """The steps that begin in this block."""
        bars = self._bars_of(step_s)
        return slice(-(-self.first // bars), None if self.last is None else -(-self.last // bars))

    @cached_property
    def price(self) -> Floats:
        """Price at every bar; the last one known where it is missing."""
        return np.asarray(np.exp(held(self.log_prices)), np.float64)

    @cached_property
    def falls(self) -> list[Swing]:
        """Falls that begin in this block, but those over a missing bar."""
        missing = np.cumsum(~np.isfinite(self.log_prices))
        end = self.first + self.steps
        return [
            fall
            for fall in super().falls
            if self.first <= fall.first < end and missing[fall.first] == missing[min(fall.last, len(missing) - 1)]
        ]

    def block(self, first: int, last: int) -> "Bars":
        """A block of the steps that count, which still knows what comes after it."""
        return replace(self, first=self.first + first, last=self.first + last)

    def stretch(self, first: int, last: int) -> "Bars":
        """The steps from `first` to `last` as a series of its own."""
        volumes = None if self.volumes is None else self.volumes[first:last]
        return replace(
            self, log_prices=self.log_prices[first : last + 1], volumes=volumes, first=0, last=None, _kept={}
        )

    def sampled(self, bar_s: float) -> "Bars":
        """The same series at longer bars."""
        bars = self._bars_of(bar_s)
        if bars == 1:
            return self
        volumes = None if self.volumes is None else self.volume(bar_s)
        return Bars(bar_s, self.log_prices[::bars], volumes, self.no_volume)

    def _bars_of(self, step_s: float) -> int:
        ratio = step_s / self.bar_s
        bars = round(ratio)
        if bars < 1 or abs(ratio - bars) > 1e-6 * bars:
            if ratio < 1:
                why = f"not measurable at {time_text(self.bar_s)} bars: defined at {time_text(step_s)}"
                raise Unmeasurable(why, step_s=step_s)
            why = f"not measurable at {time_text(self.bar_s)} bars: {time_text(step_s)} is no multiple of them"
            raise Unmeasurable(why, step_s=min(step_s, MINUTE_S))
        return bars

    @property
    def _returns_by_step(self) -> dict[float, Floats]:
        return self._kept  # one for all blocks of a series


def bars_of_run(market: MarketFrames, bar_s: float) -> Bars:
    """A run after its warm-up, at bars: last traded price, as candles hold it, and notional traded.

    The mid where nothing has traded yet.  Previous-tick sampling.  Raises `Unmeasurable` for a run without samples.
    """
    series = market.run
    time_s = series["time_s"]
    if len(time_s) < 3:
        raise Unmeasurable("the run ends before its first three samples")
    every_s = every_s_of_run(market)
    ratio = bar_s / every_s
    if ratio < 1 - 1e-6 or (ratio < 10 and abs(ratio - round(ratio)) > 1e-6):
        raise Unmeasurable(f"the run is sampled every {time_text(every_s)}: bars of {time_text(bar_s)} are no multiple")
    last = np.where(np.isfinite(series["last"]), series["last"], series["mid"])
    at = np.searchsorted(time_s, np.arange(time_s[0], time_s[-1] + 1e-6, bar_s) + 1e-6, side="right") - 1
    traded = np.cumsum(series["volume"])
    return Bars(bar_s, np.log(held(last)[at]), np.diff(traded[at]))


def every_s_of_run(market: MarketFrames) -> float:
    """How often a run was sampled, seconds."""
    time_s = market.run["time_s"]
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else float("nan")


def bars_of_file(series: PriceSeries, bar_s: float | None = None, fill_s: float = 0.0) -> tuple[Bars, list[str]]:
    """The bars of a price file, and what is to be said of it: gaps, duplicates, stretches without volume.

    `bar_s`: sample at bars of this length; default the file's own, the commonest step.  `fill_s`: a gap up to this long
    is bars in which nobody traded, whose price stands; longer ones are missing.  Raises `NotBars`.
    """
    said: list[str] = []
    series = _in_order(series, said)
    times, steps = series.times_ns, np.diff(series.times_ns)
    if len(steps) < LEAST_RETURNS:
        raise NotBars(f"too few bars: {len(times)}; at least {LEAST_RETURNS + 1} are needed")
    lengths, counts = np.unique(steps, return_counts=True)
    own_ns = int(lengths[np.argmax(counts)])
    share = steps / own_ns
    regular = float(np.mean(np.abs(share - np.rint(share)) <= ON_GRID)) >= REGULAR and counts.max() * 2 >= len(steps)
    if regular:
        bars = _regular(series, own_ns, fill_s, said)
        wanted = own_ns / 1e9 if bar_s is None else bar_s
        try:
            if wanted > bars.bar_s * (1 + 1e-9):
                said.append(f"file sampled every {time_text(wanted)}, from {time_text(bars.bar_s)} bars")
            bars = bars.sampled(wanted)
        except Unmeasurable as why:
            raise NotBars(f"--bar {time_text(wanted)}: {why}") from None
    elif bar_s is None:
        typical = time_text(float(np.median(steps)) / 1e9)
        raise NotBars(f"the times are no bars of one length (median step {typical}): say --bar 1min to sample them")
    else:
        bars = _ticks(series, round(bar_s * 1e9), said)
    if bars.steps < LEAST_RETURNS:
        raise NotBars(
            f"too few bars: {bars.steps + 1} of {time_text(bars.bar_s)}; at least {LEAST_RETURNS + 1} are needed"
        )
    return bars, said


def _in_order(series: PriceSeries, said: list[str]) -> PriceSeries:
    """Times rising, each once: of a time given twice the last row counts."""
    order = np.argsort(series.times_ns, kind="stable")
    times = series.times_ns[order]
    chosen = order[np.append(times[1:] > times[:-1], True)] if len(times) else order
    if len(times) and (np.diff(series.times_ns) < 0).any():
        said.append("times do not rise throughout: sorted")
    if len(chosen) < len(times):
        count = len(times) - len(chosen)
        said.append(f"{_count(count, 'row')} with the time of another: the last of them counts")
    volumes = None if series.volumes is None else series.volumes[chosen]
    return PriceSeries(series.times_ns[chosen], series.prices[chosen], volumes)


def _regular(series: PriceSeries, bar_ns: int, fill_s: float, said: list[str]) -> Bars:
    places = np.rint((series.times_ns - series.times_ns[0]) / bar_ns).astype(np.int64)
    count = int(places[-1]) + 1
    if count > MOST_BARS:
        raise NotBars(
            f"{count:,} bars of {time_text(bar_ns / 1e9)} from the first time to the last: is a time mistyped?"
        )
    bar_s = bar_ns / 1e9
    log_prices = np.full(count, np.nan)
    log_prices[places] = np.log(series.prices)
    volumes = None
    if series.volumes is not None:
        volumes = np.full(count, np.nan)
        volumes[places] = series.volumes
        _leave_out_halts(log_prices, volumes, bar_s, said)
    _say_gaps(log_prices, volumes, bar_s, fill_s, said)
    return Bars(bar_s, log_prices, None if volumes is None else volumes[1:])


def _leave_out_halts(log_prices: Floats, volumes: Floats, bar_s: float, said: list[str]) -> None:
    """Make stretches of an hour or more without volume missing bars."""
    silent = volumes == 0.0
    if not silent.any():
        return
    starts, ends = _stretches(silent)
    halts = (ends - starts) * bar_s >= HALT_S
    halts &= ends - starts > 1
    text = f"{_count(int(silent.sum()), 'bar')} without volume: the price stands"
    for start, end in zip(starts[halts], ends[halts], strict=True):
        log_prices[start:end], volumes[start:end] = np.nan, np.nan
    if halts.any():
        text += f"; {int((ends - starts)[halts].sum()):,} of them in stretches of an hour or more count as missing"
    said.append(text)


def _say_gaps(log_prices: Floats, volumes: Floats | None, bar_s: float, fill_s: float, said: list[str]) -> None:
    """Fill short gaps if asked, and say what is missing."""
    missing = np.isnan(log_prices)
    if not missing.any():
        return
    starts, ends = _stretches(missing)
    short = (ends - starts) * bar_s <= fill_s + 1e-9
    stands = held(log_prices)
    for start, end in zip(starts[short], ends[short], strict=True):
        log_prices[start:end] = stands[start:end]
        if volumes is not None:
            volumes[start:end] = 0.0
    if short.any():
        said.append(f"{int((ends - starts)[short].sum()):,} missing bars filled: the price stands, nothing was traded")
    left = (ends - starts)[~short]
    if len(left):
        bars, share = int(left.sum()), 100 * left.sum() / len(log_prices)
        text = f"{_count(bars, 'bar')} missing ({share:.2g} %), in {_count(len(left), 'gap')}, the longest "
        text += f"{time_text(float(left.max()) * bar_s)}: returns over them are left out"
        if share > 5 and fill_s == 0.0:
            text += " (where a missing bar is one without trades, --fill-gaps 1h keeps its price)"
        said.append(text)


def _ticks(series: PriceSeries, bar_ns: int, said: list[str]) -> Bars:
    """Irregular times sampled: the last price at the end of each bar, NaN where a bar holds none."""
    time_s = (series.times_ns - series.times_ns[0]) / 1e9
    bar_s = bar_ns / 1e9
    if time_s[-1] / bar_s > MOST_BARS:
        raise NotBars(f"more than {MOST_BARS:,} bars of {time_text(bar_s)} from the first time to the last")
    log_prices = sample(time_s, np.log(series.prices), bar_s)
    edges = np.arange(len(log_prices)) * bar_s
    rows = np.diff(np.searchsorted(time_s, edges + 1e-9, side="right"))
    said.append(f"irregular times, sampled every {time_text(bar_s)}: the last price before each")
    if (rows == 0).any():
        said.append(f"{_count(int((rows == 0).sum()), 'bar')} without a row: the price stands")
    volumes = None
    if series.volumes is not None:
        traded = np.cumsum(series.volumes)
        volumes = np.diff(traded[np.searchsorted(time_s, edges + 1e-9, side="right") - 1])
    return Bars(bar_s, log_prices, volumes)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _stretches(true: Bools) -> tuple[Ints, Ints]:
    """Where runs of true values begin, and the position after each."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], true, [False]))))
    return edges[::2], edges[1::2]
