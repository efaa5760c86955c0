"""Prints the digest of a fixed stream: `python -m tests.digest STEPS`, for comparison between ways of running."""

import sys

import numpy as np

from sim.exchange import Exchange
from sim.kernels import JIT
from tests.strategies import long_case
from tests.twins import event_digest, play


def fixed_stream_digest(steps: int) -> str:
    """Digest of all events of `long_case(11, steps)` on the kernel exchange, with a small order pool that grows."""
    case = long_case(11, steps)
    exchange = case.open(Exchange, orders=8)
    events = [play(exchange, step, number) for number, step in enumerate(case.steps)]
    return event_digest(np.concatenate(events))


if __name__ == "__main__":
    print(f"{'compiled' if JIT else 'interpreted'} {fixed_stream_digest(int(sys.argv[1]))}")
