"""Draws the figures of a run into its directory.  Headless: no display, no global state of matplotlib's pyplot."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import style
from analysis.figures import FIGURES
from analysis.load import MarketFrames, RunFrames, load_run
from sim.run_directory import RunDirectoryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.facts import Measurement
    from analysis.risk import Assessment
    from analysis.twins import TwinResult
    from analysis.twins.words import Describe
    from analysis.warning import Trial
    from sim.first_passage import Cell

MAX_BYTES = 300_000
"""Figures larger than this are stored with a palette of 256 colours."""


def plot_run(run: str | Path | RunFrames, figure: str | None = None) -> list[Path]:
    """Draw all figures (or one) of a run as PNG files in its `figures/`; returns their paths.

    The first market's files carry the figure's name; other markets' also `-<market>`.
    """
    if figure is not None and figure not in FIGURES:
        raise RunDirectoryError(f"no figure {figure!r}; there are: {', '.join(FIGURES)}")
    frames = run if isinstance(run, RunFrames) else load_run(run)
    written = []
    for position, market in enumerate(frames.markets.values()):
        names = [name for name in FIGURES if FIGURES[name].wanted(market)] if figure is None else [figure]
        for name in names:
            path = figure_path(frames, market, name, position)
            written.append(draw_figure(market, name, path, label(frames, market)))
    return written


def figure_path(frames: RunFrames, market: MarketFrames, name: str, position: int) -> Path:
    """Where a figure of the market at `position` in the scenario lies."""
    return frames.path / "figures" / (f"{name}.png" if position == 0 else f"{name}-{market.name}.png")


def draw_figure(market: MarketFrames, name: str, path: Path, source: str) -> Path:
    """Draw one figure of one market; `source` is the small print at its top right."""
    picture = FIGURES[name]
    return render(lambda figure: picture.draw(market, figure), path, picture.height_inches, picture.dark, source)


def plot_twin(run_with: str | Path | RunFrames, run_without: str | Path | RunFrames, path: str | Path) -> Path:
    """Overlay a run and its twin without forced orders (same seed): what the forced orders added."""
    first = run_with if isinstance(run_with, RunFrames) else load_run(run_with)
    second = run_without if isinstance(run_without, RunFrames) else load_run(run_without)
    from analysis.figures.twin import draw_twin, not_twins

    why = not_twins(first, second)
    if why is not None:
        raise RunDirectoryError(
            f"{first.path} and {second.path} are no twins: {why}; `marginquake counterfactual {first.path} --without "
            "liquidation` makes one and draws them (without anything else, too)"
        )
    return render(
        lambda figure: draw_twin(first.first, second.first, figure), Path(path), 6.6, False, label(first, first.first)
    )


def plot_counterfactual(result: "TwinResult", run: RunFrames, twin: RunFrames, describe: "Describe") -> list[Path]:
    """Draw what `marginquake counterfactual` found of a market into its run: the first seed over its twin, and all
    seeds."""
    from analysis.figures.twin import draw_twin
    from analysis.twins import figure as all_seeds
    from analysis.twins.words import sentences

    market, other = run.markets[result.market], twin.markets[result.market]
    folder, source = run.path / "figures", label(run, market)
    key = result.key if market is run.first else f"{result.key}-{result.market}"
    off, finding = describe(result.without), sentences(result, describe)[0]
    drawn = [
        render(
            lambda figure: draw_twin(market, other, figure, off, finding),
            folder / f"twin-{key}.png", 6.6, False, source,
        )
    ]  # fmt: skip
    if len(result.seeds) > 1 or len(result.cells) > 2:
        path = folder / f"twins-{key}.png"
        drawn.append(
            render(
                lambda figure: all_seeds.draw(result, figure, describe), path, all_seeds.HEIGHT_INCHES, False, run.name
            )
        )
    return drawn


def plot_facts(measurements: "Sequence[Mapping[str, Measurement]]", path: str | Path, source: str) -> Path:
    """Draw tails and memory of returns over several runs, as measured by `analysis.facts.measure`."""
    from analysis.figures.facts import HEIGHT_INCHES, draw

    return render(lambda figure: draw(measurements, figure), Path(path), HEIGHT_INCHES, False, source)


def plot_first_passage(cells: "Sequence[Cell]", path: str | Path, source: str) -> Path:
    """Draw the cells of `marginquake first-passage`: simulated frequencies on the closed form."""
    from analysis.figures.first_passage import HEIGHT_INCHES, draw

    return render(lambda figure: draw(cells, figure), Path(path), HEIGHT_INCHES, False, source)


def plot_reliability(cases: "Sequence[tuple[str, Assessment]]", path: str | Path, source: str) -> Path:
    """Draw reliability diagrams of margin-call probabilities, a named case each, and the excess."""
    from analysis.figures.reliability import HEIGHT_INCHES, draw

    return render(lambda figure: draw(cases, figure), Path(path), HEIGHT_INCHES, False, source)


def plot_early_warning(trial: "Trial", path: str | Path, source: str) -> Path:
    """Draw what `analysis.warning.warn` found: ROC, precision and recall, and what models add to volatility alone."""
    from analysis.figures.early_warning import HEIGHT_INCHES, draw

    return render(lambda figure: draw(trial, figure), Path(path), HEIGHT_INCHES, False, source)


def label(frames: RunFrames, market: MarketFrames) -> str:
    """Small print: scenario, market if there are several, seed."""
    names: Sequence[str] = (frames.name, market.name) if len(frames.markets) > 1 else (frames.name,)
    return f"{'  '.join(names)}  seed {frames.seed}"


def render(draw: "Callable[[Figure], None]", path: Path, height_inches: float, dark: bool, source: str) -> Path:
    """Run `draw` on an empty figure in the light or dark theme and write it as PNG."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    theme: Any = style.DARK if dark else style.LIGHT
    with matplotlib.rc_context(theme):
        figure = Figure(figsize=(style.WIDTH_INCHES, height_inches), dpi=style.DPI)
        canvas: Any = FigureCanvasAgg(figure)  # Any: matplotlib leaves its canvas untyped
        draw(figure)
        figure.text(
            1 - 0.3 / style.WIDTH_INCHES, 1 - 0.34 / height_inches, source, ha="right", va="center", fontsize=9,
            color=style.NIGHT_MUTED if dark else style.MUTED,
        )  # fmt: skip
        canvas.draw()
    _write_png(canvas, path)
    return path


def _write_png(canvas: Any, path: Path) -> None:
    from PIL import Image

    size = canvas.get_width_height()
    image = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
    image.save(path, compress_level=4)
    if path.stat().st_size > MAX_BYTES:
        image.quantize(256, dither=Image.Dither.NONE).save(path, compress_level=9)
