"""What the whole suite needs; fixtures live in the files that use them."""

import gc


def pytest_collection_finish() -> None:
    """Keep what collecting imported out of every later collection of garbage: each finished run asks for one."""
    gc.collect()
    gc.freeze()
