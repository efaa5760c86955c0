"""Numba kernels: arrays and records in, counts out; they raise nothing and allocate nothing.  Sees core only.

`kernel` is the decorator of what Python calls.  It turns off reference counting of array arguments (worth a factor
of 4 to 20 when small helpers pass arrays around).  `helper` is for what kernels call: it is inlined into them.
"""

from marginquake.sim.kernels.compile import (
    JIT,
    PLAIN,
    PRIVATE_OPTIONS,
    Helper,
    cache_directory,
    helper,
    kernel,
    routine,
    source_digest,
)

__all__ = [
    "JIT",
    "PLAIN",
    "PRIVATE_OPTIONS",
    "Helper",
    "cache_directory",
    "helper",
    "kernel",
    "routine",
    "source_digest",
]
