"""What the whole suite needs; other fixtures live in the files that use them."""

import gc

pytest_plugins = ["tests.support.installed_wheel"]


def pytest_collection_finish() -> None:
    """Keep what collecting imported out of every later collection of garbage: each finished run asks for one."""
    gc.collect()
    gc.freeze()
