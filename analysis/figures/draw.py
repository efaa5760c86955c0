"""Draws the figures of a run into its directory.  Headless: no display, no global state of matplotlib's pyplot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from marginquake.analysis.figures import FIGURES
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.analysis.presentation.left_out import LeftOut
from marginquake.analysis.presentation.png import label, render
from marginquake.sim.runs.directory import RunDirectoryError

if TYPE_CHECKING:
    from marginquake.analysis.early_warning import Trial
    from marginquake.analysis.facts import Beside, Measurement
    from marginquake.analysis.risk import Assessment
    from marginquake.sim.core.barriers import Cell


def plot_run(run: str | Path | RunFrames, figure: str | None = None, left_out: LeftOut | None = None) -> list[Path]:
    """Draw all figures (or one) of a run as PNG files in its `figures/`; returns the paths of those drawn.

    The first market's files carry the figure's name; other markets' also `-<market>`.  Of all figures, one that fails
    is left out, with a line on stderr (or in `left_out`); a figure that is asked for by name raises what went wrong.
    """
    if figure is not None and figure not in FIGURES:
        raise RunDirectoryError(f"no figure {figure!r}; there are: {', '.join(FIGURES)}")
    frames = run if isinstance(run, RunFrames) else load_run(run)
    if figure is not None:
        return [
            draw_figure(market, figure, figure_path(frames, market, figure, position), label(frames, market))
            for position, market in enumerate(frames.markets.values())
        ]
    failed = LeftOut() if left_out is None else left_out
    written = []
    for position, market in enumerate(frames.markets.values()):
        for name, picture in FIGURES.items():
            path = figure_path(frames, market, name, position)
            with failed.unless_it_fails(f"figure {path.stem}"):
                if picture.applies(market):
                    written.append(draw_figure(market, name, path, label(frames, market)))
    if left_out is None:
        failed.tell()
    return written


def figure_path(frames: RunFrames, market: MarketFrames, name: str, position: int) -> Path:
    """Where a figure of the market at `position` in the scenario lies."""
    return frames.path / "figures" / (f"{name}.png" if position == 0 else f"{name}-{market.name}.png")


def draw_figure(market: MarketFrames, name: str, path: Path, source: str) -> Path:
    """Draw one figure of one market; `source` is the small print at its top right."""
    picture = FIGURES[name]
    return render(lambda figure: picture.draw(market, figure), path, picture.height_inches, picture.dark, source)


def plot_facts(measurements: "Sequence[Mapping[str, Measurement]]", path: str | Path, source: str) -> Path:
    """Draw tails and memory of returns over several runs, as measured by `analysis.facts.measure`."""
    from marginquake.analysis.figures.facts import HEIGHT_INCHES, draw

    return render(lambda figure: draw(measurements, figure), Path(path), HEIGHT_INCHES, False, source)


def plot_beside(beside: "Beside", path: str | Path, source: str) -> Path:
    """Draw tails and memory of returns of runs beside those of a file of prices (`analysis.facts.against`)."""
    from marginquake.analysis.figures.facts import HEIGHT_INCHES, draw_beside

    return render(
        lambda figure: draw_beside(beside.runs, beside.file, figure), Path(path), HEIGHT_INCHES, False, source
    )


def plot_first_passage(cells: "Sequence[Cell]", path: str | Path, source: str) -> Path:
    """Draw the cells of `marginquake first-passage`: simulated frequencies on the closed form."""
    from marginquake.analysis.figures.barrier_frequencies import HEIGHT_INCHES, draw

    return render(lambda figure: draw(cells, figure), Path(path), HEIGHT_INCHES, False, source)


def plot_reliability(cases: "Sequence[tuple[str, Assessment]]", path: str | Path, source: str) -> Path:
    """Draw reliability diagrams of margin-call probabilities, a named case each, and the excess."""
    from marginquake.analysis.figures.reliability import HEIGHT_INCHES, draw

    return render(lambda figure: draw(cases, figure), Path(path), HEIGHT_INCHES, False, source)


def plot_early_warning(trial: "Trial", path: str | Path, source: str) -> Path:
    """Draw what `analysis.early_warning.warn` found: ROC, precision and recall, and what models add to volatility
    alone."""
    from marginquake.analysis.figures.early_warning import HEIGHT_INCHES, draw

    return render(lambda figure: draw(trial, figure), Path(path), HEIGHT_INCHES, False, source)
