"""Numbers as people read them: price, percent, clock, duration, plural."""

from marginquake.sim.core.numbers import short_number, significant

__all__ = ["clock", "duration", "percent", "plural", "price", "short_number", "significant"]


def price(value: float) -> str:
    """A price: 98765.4 -> '98,765', 12.3456 -> '12.346'."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.5g}"


def plural(count: float, noun: str) -> str:
    """1 -> '1 tick', 3 -> '3 ticks'."""
    return f"{count:,.4g} {noun}" if count == 1 else f"{count:,.4g} {noun}s"


def percent(fraction: float, digits: int = 2) -> str:
    """0.0123 -> '1.23 %'; NaN -> 'none'."""
    return "none" if fraction != fraction else f"{fraction * 100:.{digits}f} %"


def clock(seconds: float) -> str:
    """Simulated time: 75 -> '1:15', 3661 -> '1:01:01'."""
    sign, whole = ("-" if seconds < 0 else ""), round(abs(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{sign}{hours}:{minutes:02d}:{left:02d}" if hours else f"{sign}{minutes}:{left:02d}"


def duration(seconds: float) -> str:
    """A length of time: 15 -> '15 s', 120 -> '2 min', 353 -> '353 s', 1060 -> '17 min 40 s', 3600 -> '1 h'."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    if seconds < 600:
        return f"{significant(seconds, 3)} s"
    parts, rest = [], round(seconds)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)
