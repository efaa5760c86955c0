"""The digest of a fixed stream, to compare ways of running: `python -m tests.support.stream_digest STEPS [inverse]`."""

import sys

import numpy as np

from marginquake.sim.kernels import JIT
from marginquake.sim.venue.exchange import Exchange
from tests.support.compare_exchanges import event_digest, play
from tests.support.strategies import long_case


def fixed_stream_digest(steps: int, inverse: bool = False) -> str:
    """Digest of all events of `long_case(11, steps)` on the kernel exchange, with a small order pool that grows."""
    case = long_case(11, steps, inverse=inverse)
    exchange = case.open(Exchange, orders=8)
    events = [play(exchange, step, number) for number, step in enumerate(case.steps)]
    return event_digest(np.concatenate(events))


if __name__ == "__main__":
    stream = fixed_stream_digest(int(sys.argv[1]), "inverse" in sys.argv[2:])
    print(f"{'compiled' if JIT else 'interpreted'} {stream}")
