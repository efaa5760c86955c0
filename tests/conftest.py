"""What the whole suite needs, and the builders that tests ask for by name.

Builders are imported where they are used: a test of units does not wait for numba.
"""

import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from marginquake.sim.model.model import MarketModel
    from tests.support.exchanges import OpenMarket
    from tests.support.ladder import Ladder
    from tests.support.still_market import OpenStillMarket, StillMarket
    from tests.support.whole_market import OpenModel

pytest_plugins = ["tests.support.installed_wheel"]


def pytest_collection_finish() -> None:
    """Keep what collecting imported out of every later collection of garbage: each finished run asks for one."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The same for what the tests of a file imported and compiled, once its fixtures are gone."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(params=["naive", "kernel"])
def open_market(request: pytest.FixtureRequest) -> "OpenMarket":
    """Makes a fresh market of one implementation, whose book is drawn as text; a test runs on both."""
    from tests.support.exchanges import ladder

    return partial(ladder, request.param)


@pytest.fixture
def market(open_market: "OpenMarket") -> "Ladder":
    """A fresh market under plain rules."""
    return open_market()


@pytest.fixture
def open_model() -> "Iterator[OpenModel]":
    """Makes the model of a scenario file, with overrides; it is let go after the test."""
    from marginquake.sim.studies.run import release
    from tests.support import whole_market

    opened: list[MarketModel] = []

    def open_one(path: Path, *overrides: str, **options: Any) -> "MarketModel":
        opened.append(whole_market.open_model(path, *overrides, **options))
        return opened[-1]

    yield open_one
    for model in opened:
        release(model)


@pytest.fixture
def still_market(tmp_path: Path) -> "Iterator[OpenStillMarket]":
    """Makes a market in which only margin happens, with changes to its scenario; it is let go after the test."""
    from marginquake.sim.studies.run import release
    from tests.support.still_market import StillMarket

    opened: list[StillMarket] = []

    def open_one(seed: int = 1, **changes: Any) -> "StillMarket":
        opened.append(StillMarket(tmp_path, seed, **changes))
        return opened[-1]

    yield open_one
    for market in opened:
        if market.model.agents:  # `finish` lets it go itself
            release(market.model)
