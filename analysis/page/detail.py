"""How finely charts are drawn: in full, or in a part of it where the page would grow too large to be mailed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SHARE: ContextVar[float] = ContextVar("share", default=1.0)


@contextmanager
def detail(share: float) -> Iterator[None]:
    """Within it, charts have about `share` (0 to 1) of their usual number of points."""
    token = _SHARE.set(share)
    try:
        yield
    finally:
        _SHARE.reset(token)


def at_most(usual: int, dimensions: int = 1) -> int:
    """The most points along one of the `dimensions` of a chart that usually has `usual` of them."""
    return max(round(usual * math.pow(_SHARE.get(), 1 / dimensions)), 8)
