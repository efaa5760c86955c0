"""First passage by drawing every look of the path, then looking at each: no point is left out."""

import math
from collections.abc import Callable


def naive_path(draw: Callable[[int], float], deviation: float, drift: float, looks: int, span: int) -> list[float]:
    """Log price at looks 0 to `looks`: ends of spans by increments, between them Lévy's midpoints, `draw(t)` at t."""
    ends = -(-looks // span)
    x = [0.0] * (ends * span + 1)
    for end in range(1, ends + 1):
        t = end * span
        x[t] = x[t - span] + drift * span + deviation * math.sqrt(float(span)) * draw(t)
    width = span
    while width > 1:
        for left in range(0, ends * span, width):
            right, middle = left + width, left + width // 2
            x[middle] = 0.5 * (x[left] + x[right]) + 0.5 * deviation * math.sqrt(float(width)) * draw(middle)
        width //= 2
    return x[: looks + 1]


def naive_first_look(x: list[float], side: int, entry: float, trigger: int) -> int:
    """First look at which the price, rounded to a tick, is at or past the trigger; 0 if none is."""
    for look, value in enumerate(x[1:], start=1):
        mark = math.floor(entry * math.exp(value) + 0.5)
        if (mark <= trigger) if side > 0 else (mark >= trigger):
            return look
    return 0
