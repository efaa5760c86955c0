"""What the HTML pages share: templates, and columns packed for JavaScript."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pack(values: ArrayLike) -> dict[str, str]:
    """A column of numbers as base64 of little-endian float32: seven digits, NaN allowed (page.js: `MQ.unpack`)."""
    return {"f32": base64.b64encode(np.asarray(values, "<f4").tobytes()).decode("ascii")}


def pack_bytes(values: NDArray[np.uint8]) -> dict[str, str]:
    """A matrix of bytes, row after row, as base64."""
    return {"u8": base64.b64encode(np.ascontiguousarray(values, np.uint8).tobytes()).decode("ascii")}


def script_json(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element it stands in, nor open a comment there."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def finite(value: float, digits: int = 6) -> float | None:
    """A number as JSON has it: rounded to significant digits, None for NaN and infinities."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


TEMPLATES = Path(__file__).parent / "templates"


def template(name: str) -> Any:
    """A page of analysis/templates."""
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["script_json"] = script_json
    environment.filters["prose"] = prose
    return environment.get_template(name)


def prose(text: str) -> Any:
    """Plain words, escaped; what stands between backticks becomes code."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if k % 2 else part for k, part in enumerate(parts))
