"""Still figures that no interactive chart replaces, embedded as they lie in `figures/` or drawn where missing."""

import base64
from dataclasses import dataclass
from typing import final

from marginquake.analysis.figures import FIGURES
from marginquake.analysis.figures.draw import draw_figure, figure_path
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.presentation import theme
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.presentation.png import label


@final
@dataclass(frozen=True)
class Still:
    """One figure: its PNG as a data URI, or empty where it is too large for the page and lies in `file` only."""

    title: str
    file: str
    caption: str
    dark: bool
    width: int
    height: int
    source: str


def stills(run: RunFrames, market: MarketFrames, position: int, embedded: bool, left_out: LeftOut) -> list[Still]:
    """The figures of the market at `position` in the scenario; `embedded` False gives their names only.

    One that is missing and cannot be drawn is noted in `left_out`.
    """
    found = []
    for name, picture in FIGURES.items():
        path = figure_path(run, market, name, position)
        if embedded and not picture.in_charts and not path.is_file():
            with left_out.unless_it_fails(f"figure {path.stem}"):
                if picture.applies(market):
                    draw_figure(market, name, path, label(run, market))
        if picture.in_charts or not path.is_file():
            continue
        data = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}" if embedded else ""
        found.append(
            Still(
                title=name.replace("_", " "),
                file=f"figures/{path.name}",
                caption=picture.caption,
                dark=picture.dark,
                width=round(theme.WIDTH_INCHES * theme.DPI),
                height=round(picture.height_inches * theme.DPI),
                source=data,
            )
        )
    return found
