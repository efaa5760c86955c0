"""Pages from analysis/templates: texts are escaped, and data cannot leave the script element it stands in."""

from pathlib import Path
from typing import Any

from analysis.packing import script_json

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
