"""A frame of a running market as lines of text: what `marginquake watch` shows.  Frame in, renderable out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import final

from rich.console import Group
from rich.text import Text

from marginquake.sim.cli.common import clock
from marginquake.sim.cli.watch.liquidations import ClosedLiquidation
from marginquake.sim.cli.watch.watcher import Alert, BookRung, Frame
from marginquake.sim.core.numbers import short_number

LEAST_WIDTH, LEAST_HEIGHT = 72, 22
"""Smaller terminals get lines instead of a picture."""
WIDE = 116
"""From this width on the alerts have a column of their own."""
GAP = 2
LONGEST_ID = 12
"""Characters of a user's own id that there is room for."""
FALL, RISE, QUIET, TITLE = "red", "green", "bright_black", "bold cyan"
GRADES = (QUIET, "yellow", "bold red")
EIGHTHS = " ▏▎▍▌▋▊▉█"
PRESSURE_SCALE = 4.0
"""A full bar of the liquidation ladder: forced notional four times the book's."""
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))

Lines = list[Text]


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the run goes: simulated seconds per second, NaN before that is known."""

    speed: float = math.nan


def render(frame: Frame, pace: Pace, width: int, height: int) -> Group:
    """One screen of exactly `height` lines of `width` cells."""
    wide = width >= WIDE
    spare = height - LEAST_HEIGHT
    ladder = 7
    strip = 0 if wide else 2 + spare // 5
    bottom = 5 + (2 * spare) // 5
    top = height - 1 - ladder - strip - bottom
    left = width - GAP - (width - GAP) * 42 // 100
    lines = [_header(frame, pace, width)]
    lines += _beside(
        [(left, _prices(frame, left, top)), (width - GAP - left, _book(frame, width - GAP - left, top))], top
    )
    lines += _sized(_ladder(frame, width), width, ladder)
    if wide:
        third = (width - 2 * GAP) * 26 // 100
        middle = (width - 2 * GAP) * 42 // 100
        rest = width - 2 * GAP - third - middle
        columns = [
            (third, _state(frame, third)),
            (middle, _closed(frame, middle, bottom)),
            (rest, _alerts(frame, rest, bottom)),
        ]
    else:
        third = (width - GAP) * 41 // 100
        columns = [(third, _state(frame, third)), (width - GAP - third, _closed(frame, width - GAP - third, bottom))]
    lines += _beside(columns, bottom)
    if strip:
        lines += _sized(_alerts(frame, width, strip), width, strip)
    return Group(*lines)


def plain_line(frame: Frame) -> str:
    """The frame in one line, for logs and pipes."""
    near = frame.near
    parts = [
        f"{clock(frame.time_s):>8}",
        f"last {price(frame.last, frame.decimals)} ({signed(frame.change)})",
        f"fall {frame.largest_fall:.2%}",
        f"basis {basis(frame.basis)}",
        f"OI {short_number(frame.open_interest)}",
        f"PI(1 %) {ratio(near.pressure_below)} below {ratio(near.pressure_above)} above",
        f"calls {frame.margin_calls:,}",
        f"in liquidation {frame.in_liquidation:,}",
        f"forced {short_number(frame.forced_notional)}",
        f"fund {short_number(frame.insurance_fund)}",
    ]
    return "  ".join(parts)


def alert_line(alert: Alert) -> str:
    """An alert among such lines."""
    return f"{clock(alert.time_s):>8}  {'!' * alert.grade or '-'} {alert.text}"


def summary_rows(frame: Frame) -> list[tuple[str, str]]:
    """Headline numbers of a run that was cut off."""
    return [
        ("simulated", f"{clock(frame.time_s)} of {clock(frame.duration_s)}"),
        ("last price", f"{price(frame.last, frame.decimals)} ({signed(frame.change)} since the start)"),
        ("largest fall", f"{100 * frame.largest_fall:.2f} %"),
        ("margin calls", f"{frame.margin_calls:,}"),
        ("liquidations", f"{frame.liquidations:,}"),
        ("forced orders traded", short_number(frame.forced_notional)),
        ("open interest", short_number(frame.open_interest)),
        ("insurance fund", short_number(frame.insurance_fund)),
    ]


def price(value: float, decimals: int) -> str:
    """A price with the contract's decimals; a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:,.{decimals}f}"


def signed(fraction: float) -> str:
    """+1.23 %; a dash where unknown."""
    return "-" if math.isnan(fraction) else f"{round(100 * fraction, 2) + 0.0:+.2f} %"


def basis(fraction: float) -> str:
    """Basis points with sign."""
    return "-" if math.isnan(fraction) else f"{round(1e4 * fraction, 1) + 0.0:+.1f} bp"


def ratio(value: float) -> str:
    """A pressure: 0.42, 12.3, >99 where there is hardly a book, or - where nothing is forced and nothing rests."""
    if math.isnan(value):
        return "-"
    if value >= 99.5:
        return ">99"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"


def bar(fraction: float, width: int) -> str:
    """A bar of eighths of a cell, `fraction` of `width` cells long."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (EIGHTHS[part] if part else "")).ljust(width)


def chart(
    series: Sequence[Sequence[float]], styles: Sequence[str], width: int, height: int
) -> tuple[Lines, float, float]:
    """Lines of braille dots, the later series on top, and the values of bottom and top.

    Every series has the same times, evenly spaced; NaN is left out.
    """
    known = [value for values in series for value in values if not math.isnan(value)]
    if not known:
        return [Text(" " * width) for _ in range(height)], math.nan, math.nan
    low, high = min(known), max(known)
    reach = (high - low) or abs(high) * 1e-6 or 1.0
    dots = [[0] * width for _ in range(height)]
    owner = [[-1] * width for _ in range(height)]
    for number, values in enumerate(series):
        before: int | None = None
        for x in range(2 * width):
            value = values[min(len(values) - 1, x * len(values) // (2 * width))]
            if math.isnan(value):
                before = None
                continue
            y = round((high - value) / reach * (4 * height - 1))
            for dot in _between(before, y):
                dots[dot // 4][x // 2] |= _DOTS[x % 2][dot % 4]
                owner[dot // 4][x // 2] = number
            before = y
    lines = []
    for cells, owners in zip(dots, owner, strict=True):
        line = Text()
        for cell, number in zip(cells, owners, strict=True):
            line.append(chr(0x2800 + cell) if cell else " ", styles[number] if number >= 0 else "")
        lines.append(line)
    return lines, low, high


def _between(before: int | None, y: int) -> range:
    """Rows of dots that join two points of neighbouring columns."""
    if before is None or abs(before - y) <= 1:
        return range(y, y + 1)
    return range(before + 1, y + 1) if y > before else range(y, before)


def _header(frame: Frame, pace: Pace, width: int) -> Text:
    name = f"{frame.scenario} / {frame.market}" if frame.market else frame.scenario
    line = Text.assemble((f" {name}", "bold"), (f"  seed {frame.seed}", QUIET))
    if frame.time_s < 0:
        when, done = f"warm-up, {clock(-frame.time_s)} left", 1.0 + frame.time_s / frame.warmup_s
    else:
        when, done = f"{clock(frame.time_s)} of {clock(frame.duration_s)}", frame.time_s / frame.duration_s
    right = Text(when)
    if not math.isnan(pace.speed):
        right.append(f"  ×{pace.speed:.1f} " if pace.speed < 9.95 else f"  ×{pace.speed:,.0f} ", QUIET)
    session = width - line.cell_len - right.cell_len - 4
    if session >= 8:
        full = round(max(0.0, min(1.0, done)) * session)
        line.append("  ")
        line.append("━" * full, "cyan")
        line.append("─" * (session - full), QUIET)
        line.append("  ")
    else:
        line.append("  ")
    return _fit(line.append_text(right), width)


def _prices(frame: Frame, width: int, height: int) -> Lines:
    change = QUIET if math.isnan(frame.change) or frame.change == 0 else FALL if frame.change < 0 else RISE
    number = price(frame.last, frame.decimals)
    headline = Text(f" {number}", "bold")
    if not math.isnan(frame.change):
        headline = Text.assemble(
            headline, (f"  {signed(frame.change)}", change), ("  largest fall ", QUIET),
            f"{100 * frame.largest_fall:.2f} %",
        )  # fmt: skip
    prices = Text.assemble(
        (" mark ", QUIET), price(frame.mark, frame.decimals), ("  index ", "blue"), price(frame.index, frame.decimals)
    )
    rates = Text.assemble(
        (" basis ", QUIET), basis(frame.basis), ("  funding ", QUIET), f"{100 * frame.funding_rate:+.4f} %"
    )
    if frame.paused:
        rates.append("  paused", "bold red")
    lines = [_title("price", width), headline, prices, rates]
    rows = height - len(lines)
    if rows < 2 or len(frame.history) < 2:
        return lines
    labels = max(len(price(point.last, frame.decimals)) for point in frame.history) + 1
    columns = width - labels - 2
    drawn, low, high = chart(
        ([point.index for point in frame.history], [point.last for point in frame.history]),
        ("blue", "bold white"),
        columns,
        rows,
    )
    for row, line in enumerate(drawn):
        label = price(high, frame.decimals) if row == 0 else price(low, frame.decimals) if row == rows - 1 else ""
        lines.append(Text(" ").append_text(line).append(f" {label}", QUIET))
    return lines


def _book(frame: Frame, width: int, height: int) -> Lines:
    """Asks over bids, best next to the middle, in buckets of ticks."""
    spread = frame.best_ask - frame.best_bid
    middle = Text(" no two-sided book", FALL)
    if not math.isnan(spread):
        middle = Text.assemble(
            (f" {price(frame.mid, frame.decimals + 1)}", "bold"), ("  spread ", QUIET), price(spread, frame.decimals)
        )
    below_middle = max(1, (height - 2) // 2)
    above_middle = max(1, height - 2 - below_middle)
    asks, bids = frame.asks[:above_middle], frame.bids[:below_middle]
    most = max((rung.notional for rung in (*asks, *bids)), default=0.0)
    labels = max((len(price(rung.price, frame.decimals)) for rung in (*asks, *bids)), default=1)
    title = _title("book", width)
    above = [_rung(rung, most, labels, width, frame.decimals, FALL) for rung in reversed(asks)]
    below = [_rung(rung, most, labels, width, frame.decimals, RISE) for rung in bids]
    return [title, *[Text("")] * (above_middle - len(above)), *above, middle, *below]


def _rung(rung: BookRung, most: float, labels: int, width: int, decimals: int, style: str) -> Text:
    amount = short_number(rung.notional)
    session = max(1, width - labels - 10)
    share = rung.notional / most if most > 0 else 0.0
    return Text.assemble(
        (f" {price(rung.price, decimals):>{labels}} ", QUIET), (bar(share, session), style), f" {amount:>7}"
    )


def _ladder(frame: Frame, width: int) -> Lines:
    """Per distance and side: forced notional, what rests, and their ratio as a bar with a mark at 1."""
    left = (width - 10) // 2
    right = width - 10 - left
    heading = Text.assemble(
        (" within   ", QUIET),
        _ladder_heading("longs below", "bids", left),
        _ladder_heading("shorts above", "asks", right),
    )
    lines = [_title("waiting to be forced, beside the book (┊ as much as rests)", width), heading]
    lines += [
        Text.assemble(
            f" {100 * reach.distance:>5g} % ".ljust(10),
            _ladder_side(reach.longs, reach.bids, reach.pressure_below, left),
            _ladder_side(reach.shorts, reach.asks, reach.pressure_above, right),
        )
        for reach in frame.ladder
    ]
    return lines


def _ladder_heading(whose: str, resting: str, width: int) -> Text:
    return Text(f"{whose:<{width - 23}}{'forced':>7} {resting:>7} {'ratio':>5}  ", QUIET)


def _ladder_side(forced: float, resting: float, pressure: float, width: int) -> Text:
    session = width - 23
    colour = "red" if pressure >= 2 else "yellow" if pressure >= 1 else "white"
    unity = round(session / PRESSURE_SCALE)
    text = Text()
    for place, cell in enumerate(bar(0.0 if math.isnan(pressure) else pressure / PRESSURE_SCALE, session)):
        if place == unity:
            text.append("┊", QUIET if cell == " " else f"black on {colour}")
        else:
            text.append(cell, colour)
    return (
        text.append(f"{short_number(forced):>7} {short_number(resting):>7} ")
        .append(f"{ratio(pressure):>5}", colour)
        .append("  ")
    )


def _state(frame: Frame, width: int) -> Lines:
    interest = frame.open_interest / frame.open_interest_start - 1.0 if frame.open_interest_start > 0 else math.nan
    fund = frame.insurance_fund - frame.insurance_fund_start
    lines = [
        _title("market", width),
        Text.assemble((" open interest ", QUIET), short_number(frame.open_interest), f"  {signed(interest)}"),
        Text.assemble(
            (" insurance fund ", QUIET), short_number(frame.insurance_fund),
            f"  {'+' if fund >= 0 else '-'}{short_number(abs(fund))}",
        ),
        Text.assemble(
            (" called ", QUIET), (f"{frame.called:,}", "yellow" if frame.called else ""),
            ("  in liquidation ", QUIET), (f"{frame.in_liquidation:,}", FALL if frame.in_liquidation else ""),
        ),
        Text.assemble(
            (" calls ", QUIET), f"{frame.margin_calls:,}", ("  forced ", QUIET), short_number(frame.forced_notional)
        ),
        Text.assemble((" liquidations ", QUIET), f"{frame.liquidations:,}", ("  warned ", QUIET), f"{frame.warned:,}"),
        Text.assemble(
            (" fund holds ", QUIET), short_number(frame.fund_position), ("  ADL fills ", QUIET), f"{frame.adl_closed:,}"
        ),
    ]  # fmt: skip
    if frame.pauses:
        lines.append(Text.assemble((" pauses ", QUIET), str(frame.pauses)))
    if frame.faults:
        lines.append(Text(f" fault: {', '.join(kind.replace('_', ' ') for kind in frame.faults)}", "bold red"))
    return lines


def _closed(frame: Frame, width: int, height: int) -> Lines:
    lines = [_title("last liquidations", width)]
    if frame.why_no_closed:
        return [*lines, Text(f" {frame.why_no_closed}", QUIET)]
    if not frame.closed:
        return [*lines, Text(" none so far", QUIET)]
    shown = tuple(reversed(frame.closed[-(height - 2) :]))
    names = [_called(closed) for closed in shown]
    rows = max(len("row"), *map(len, names))
    prices = max(len("price"), *(len(price(closed.price, frame.decimals)) for closed in shown))
    heading = f" {'time':>7} {'row':>{rows}} {'':5} {'size':>6} {'price':>{prices}} {'loss':>6} others"
    lines.append(Text(heading, QUIET))
    for closed, name in zip(shown, names, strict=True):
        word, style = ("long ", FALL) if closed.side > 0 else ("short", RISE)
        amounts = short_number(closed.notional), price(closed.price, frame.decimals), short_number(closed.loss)
        line = Text.assemble(
            (f" {clock(closed.time_s):>7}", QUIET), f" {name:>{rows}} ", (word, style),
            " {:>6} {:>{width}} {:>6}".format(*amounts, width=prices),
        )  # fmt: skip
        lines.append(line.append_text(_others(closed)))
    return lines


def _called(closed: ClosedLiquidation) -> str:
    """The account by its row, and by the user's own id, as far as there is room."""
    own = closed.id if len(closed.id) <= LONGEST_ID else closed.id[: LONGEST_ID - 1] + "\u2026"
    return f"{closed.account} {own}".rstrip()


def _others(closed: ClosedLiquidation) -> Text:
    """Who else paid; where the fund took the position and it cost nothing, that."""
    line = Text()
    others = (("fund", closed.fund_paid), ("ADL", closed.winners_paid), ("unpaid", closed.unpaid))
    for name, paid in others:
        if paid > 0:
            line.append(f" {name} {short_number(paid)}", "bold red")
    if closed.taken_over and not line:
        line.append(" to fund", QUIET)
    return line


def _alerts(frame: Frame, width: int, height: int) -> Lines:
    lines = [_title("alerts", width)]
    if not frame.alerts:
        return [*lines, Text(" none so far", QUIET)]
    lines += [
        Text.assemble((f" {clock(alert.time_s):>7} ", QUIET), (alert.text, GRADES[alert.grade]))
        for alert in reversed(frame.alerts[-(height - 1) :])
    ]
    return lines


def _title(words: str, width: int) -> Text:
    return Text.assemble((f"─ {words} ", TITLE), ("─" * max(0, width - len(words) - 3), QUIET))


def _beside(columns: Sequence[tuple[int, Lines]], height: int) -> Lines:
    """Columns of given widths as whole lines."""
    sized = [_sized(lines, width, height) for width, lines in columns]
    return [Text(" " * GAP).join(parts) for parts in zip(*sized, strict=True)]


def _sized(lines: Lines, width: int, height: int) -> Lines:
    """Exactly `height` lines of `width` cells."""
    return [_fit(line or Text(""), width) for line, _ in zip_longest(lines[:height], range(height))]


def _fit(line: Text, width: int) -> Text:
    fitted = line.copy()
    fitted.no_wrap = True
    fitted.truncate(width, overflow="ellipsis", pad=True)
    return fitted
