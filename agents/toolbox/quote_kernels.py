"""Kernels of the market makers: who requotes at a step, and what they quote."""
# mypy: allow-untyped-calls

import math

from marginquake.sim.kernels import helper, kernel
from marginquake.sim.kernels.draws import normal, unit


@helper
def strength(now_ns, pulled_until_ns, residual, half_life_ns):  # type: ignore[no-untyped-def]
    """Size as a share of normal: `residual` while pulled; afterwards what is missing halves every half-life."""
    since = (now_ns - pulled_until_ns) / half_life_ns
    if since < 0.0:
        return residual
    return 1.0 - (1.0 - residual) * 0.5 ** min(since, 60.0)


@kernel
def draw_awake(key, step, chance, awake):  # type: ignore[no-untyped-def]
    """Makers whose clock rings at this step, in `awake`; returns how many."""
    count = 0
    for maker in range(awake.shape[0]):
        if unit(key, step, maker) < chance:
            awake[count] = maker
            count += 1
    return count


@kernel
def quote_ladders(  # type: ignore[no-untyped-def]
    key,
    step,
    awake,
    position,
    pulled_until_ns,
    now_ns,
    terms,
    offsets_bps,
    level_lots,
    best_bid,
    best_ask,
    top,
    out_maker,
    side,
    price,
    lots,
):
    """Quotes of the awake makers: bids then asks, from the inside out, without empty levels.  Returns the count.

    `terms`: fair (ticks), shift of fair per inventory limit (bp), noise (bp), widening, size, inventory limit (lots),
    residual size while pulled, half-life of the return (ns), above 0 = may cross stale quotes.
    `offsets_bps`, `level_lots`: by maker and level; innermost offsets are equal.
    Prices round outwards.  Unless it may cross stale quotes, a ladder that would come closer to the opposite best than
    its innermost offset (at least a tick) is shifted away whole.  Sizes round at random, so that means are kept; the
    side that would pass the inventory limit shrinks.
    """
    fair, skew_bps, noise_bps, widen, size, limit = terms[0], terms[1], terms[2], terms[3], terms[4], terms[5]
    levels = offsets_bps.shape[1]
    gap = max(1, int(fair * 1e-4 * offsets_bps[0, 0] * widen))
    count = 0
    for i in range(awake.shape[0]):
        maker = awake[i]
        inventory = position[maker] / limit
        shift = noise_bps * normal(key, step, maker) - skew_bps * inventory
        centre = fair * (1.0 + 1e-4 * shift)
        total = 0.0
        for level in range(levels):
            total += level_lots[maker, level]
        quoted = size * strength(now_ns, pulled_until_ns[maker], terms[6], terms[7])
        side_lots = max(total * quoted, 1e-9)
        for half in range(2):
            sign = 1 - 2 * half
            room = max(0.0, 1.0 - sign * inventory) * limit / side_lots
            share = quoted * min(1.0, room)
            inner = fair * 1e-4 * offsets_bps[0, 0] * widen
            back_off = 0
            shy = terms[8] <= 0.0
            if shy and sign > 0 and best_ask > 0:
                back_off = max(0, math.floor(centre - inner) - (best_ask - gap))
            elif shy and sign < 0 and best_bid > 0:
                back_off = max(0, best_bid + gap - math.ceil(centre + inner))
            for level in range(levels):
                distance = fair * 1e-4 * offsets_bps[maker, level] * widen
                ticks = math.floor(centre - distance) if sign > 0 else math.ceil(centre + distance)
                ticks -= sign * back_off
                address = (1 << 32) + (maker * 2 + half) * 1024 + level
                quantity = math.floor(level_lots[maker, level] * share + unit(key, step, address))
                if quantity > 0 and 0 < ticks < top:
                    out_maker[count] = maker
                    side[count] = sign
                    price[count] = ticks
                    lots[count] = quantity
                    count += 1
    return count
