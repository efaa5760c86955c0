"""A figure becomes a PNG file.  Headless: no display, no global state of matplotlib's pyplot."""

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.presentation import theme as style
from marginquake.sim.core.outside.disk import make_folders, write_whole
from marginquake.sim.core.outside.edges import terminal_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MAX_BYTES = 300_000
"""Figures larger than this are stored with a palette of 256 colours."""


def label(frames: RunFrames, market: MarketFrames) -> str:
    """Small print: scenario, market if there are several, seed."""
    names: Sequence[str] = (frames.name, market.name) if len(frames.markets) > 1 else (frames.name,)
    return f"{'  '.join(names)}  seed {frames.seed}"


def render(draw: "Callable[[Figure], None]", path: Path, height_inches: float, dark: bool, source: str) -> Path:
    """Run `draw` on an empty figure in the light or dark theme and write it as PNG."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    make_folders(path.parent)
    theme: Any = style.DARK if dark else style.LIGHT
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # nothing of the user's own settings: they could send texts through LaTeX, say
        matplotlib.rcParams.update(theme)
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box in the picture says it
        figure = Figure(figsize=(style.WIDTH_INCHES, height_inches), dpi=style.DPI)
        canvas: Any = FigureCanvasAgg(figure)  # Any: matplotlib leaves its canvas untyped
        draw(figure)
        figure.text(
            1 - 0.3 / style.WIDTH_INCHES, 1 - 0.34 / height_inches, source, ha="right", va="center", fontsize=9,
            color=style.NIGHT_MUTED if dark else style.MUTED,
        )  # fmt: skip
        _settle_text(figure)
        canvas.draw()
    _write_png(canvas, path)
    return path


def _settle_text(figure: "Figure") -> None:
    """Names as they are written, but for what no font has; powers of ten that matplotlib writes itself as powers."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, LogFormatter

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(terminal_text(text.get_text()))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for formatter, labels in (
                (axis.get_major_formatter(), axis.get_majorticklabels),
                (axis.get_minor_formatter(), axis.get_minorticklabels),
            ):
                if isinstance(formatter, FixedFormatter):
                    formatter.seq = [terminal_text(each) for each in formatter.seq]
                elif isinstance(formatter, LogFormatter):
                    for label in labels():
                        label.set_parse_math(True)


def _write_png(canvas: Any, path: Path) -> None:
    from PIL import Image

    size = canvas.get_width_height()
    image = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=4)
    if file.tell() > MAX_BYTES:
        file = io.BytesIO()
        image.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", compress_level=9)
    write_whole(path, file.getvalue())
