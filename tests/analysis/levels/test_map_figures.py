"""The figures of maps say plainly where there is nothing to draw, and are wanted only where there is something."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marginquake.analysis.figures import FIGURES
from marginquake.analysis.figures.map_forecast import why_nothing
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.presentation.png import render
from tests.support.frames.positions import held_market

NAMES = ("levels", "entries", "forecast")


def drawn(market: MarketFrames, name: str, path: Path) -> float:
    """Ink of the picture: standard deviation of its brightness."""
    picture = FIGURES[name]
    render(lambda figure: picture.draw(market, figure), path, picture.height_inches, picture.dark, "test")
    return float(np.asarray(Image.open(path).convert("L"), np.float64).std())


@pytest.mark.parametrize("name", NAMES)
def test_a_run_without_positions_is_told_so(name: str, tmp_path: Path) -> None:
    market = replace(held_market([1, -1], [100, 100], [97, 103]), read_positions=dict)
    assert not FIGURES[name].applies(market)
    assert drawn(market, name, tmp_path / "nothing.png") > 1


def test_positions_that_nobody_can_call_have_entries_and_no_levels(tmp_path: Path) -> None:
    market = held_market([5, -5], [100, 101], [np.nan, np.nan])
    assert not FIGURES["levels"].applies(market)
    assert not FIGURES["forecast"].applies(market)
    assert FIGURES["entries"].applies(market)
    assert drawn(market, "levels", tmp_path / "levels.png") > 1
    assert drawn(market, "entries", tmp_path / "entries.png") > 5


def test_levels_are_drawn_without_a_map_of_the_book(tmp_path: Path) -> None:
    market = held_market([5, -5, 2, -2], [100] * 4, [97, 103, 80.2, 119.8], leverage=[25, 30, 5, 5])
    assert FIGURES["levels"].applies(market)
    assert drawn(market, "levels", tmp_path / "levels.png") > 5


def test_where_there_is_no_forecast_to_compare_it_is_said_why() -> None:
    quiet = held_market([1, -1], [100, 100], [97, 103])
    assert why_nothing(quiet) == "nobody was closed by force in this run: there is no cascade"
    assert why_nothing(replace(quiet, read_positions=dict)) == "the run recorded no positions"
    assert "run with record.events: liquidations" in why_nothing(replace(quiet, events_kept="none"))
