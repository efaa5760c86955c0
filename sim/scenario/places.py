"""Where each field of a scenario is written, kept when the tree is gone: for warnings, also those after a run."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import final

from marginquake.sim.core.problems import Place, ScenarioWarning, shown_path
from marginquake.sim.scenario.yaml_tree import Node, Path_


@final
@dataclass(frozen=True, slots=True)
class Written:
    """Where a field stands, or would stand.  `is_written`: the scenario says it; else it is a default.

    `value`: as written, None for mappings and lists.
    """

    place: Place
    field: str
    is_written: bool
    value: str | None


@final
class Places:
    """Fields of a merged scenario by path, each with its own file and line (or `--set` argument)."""

    def __init__(self, root: Node) -> None:
        self._root = root.place
        self._known = {node.path: (node.place, node.shown()) for node in _fields(root)}

    def shown_as(self, name: str) -> "Places":
        """The same under another file name, wherever fields are written."""
        other = copy(self)
        other._root = replace(self._root, source=name)
        other._known = {path: (replace(place, source=name), value) for path, (place, value) in self._known.items()}
        return other

    def find(self, market: str, path: Path_) -> Written:
        """A field of this market, or of the whole scenario; what nobody wrote is where the nearest block begins."""
        for length in range(len(path), 0, -1):
            for prefix in (("markets", market), ()):
                known = self._known.get((*prefix, *path[:length]))
                if known is not None:
                    is_written = length == len(path)
                    field = shown_path((*prefix, *path))
                    return Written(known[0], field, is_written, known[1] if is_written else None)
        return Written(self._root, shown_path(path), False, None)

    def warning(
        self, name: str, market: str, path: Path_, message: str, way_out: str, value: str | None = None
    ) -> ScenarioWarning:
        """A warning about a field.  `value`: what it is where nobody wrote it."""
        found = self.find(market, path)
        shown = found.value
        if not found.is_written and value is not None:
            shown = f"{value} (the default)"
        return ScenarioWarning(name, found.place, found.field, message, way_out, shown)


def _fields(node: Node) -> Iterator[Node]:
    """Fields of mappings, and items of lists that are mappings themselves: not every number of a long list."""
    children: list[Node] = []
    if isinstance(node.value, dict):
        children = list(node.value.values())
    elif isinstance(node.value, list):
        children = [item for item in node.value if isinstance(item.value, dict)]
    for child in children:
        yield child
        yield from _fields(child)
