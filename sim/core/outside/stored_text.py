"""JSON and YAML as runs store them, read back: a folder may come from anybody, so never without end."""

import json
from pathlib import Path
from typing import Any, Final

from marginquake.sim.core.outside.bounded_files import MAX_DATA_BYTES, read_bounded

MAX_DEPTH: Final = 100
"""Levels of lists and mappings in each other; what runs store has ten."""


def read_json(path: Path) -> Any:
    """What a JSON file holds.  Raises OSError, or ValueError where it is no JSON or nested without end."""
    text = read_bounded(path, MAX_DATA_BYTES).decode("utf-8")
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep") from None
    _check_depth(content)
    return content


def read_yaml(path: Path) -> Any:
    """What a YAML file that we wrote holds.  Raises OSError, or ValueError for what we do not write: merged aliases
    and nesting without end."""
    import yaml

    text = read_bounded(path, MAX_DATA_BYTES).decode("utf-8")
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one where it was built

    class Loader(base):  # type: ignore[misc]
        depth = 0

        def descend_resolver(self, *node: Any) -> None:
            """Before each node."""
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
            super().descend_resolver(*node)

        def ascend_resolver(self) -> None:
            """After each node."""
            self.depth -= 1
            super().ascend_resolver()

        def flatten_mapping(self, node: Any) -> None:
            """Merge keys multiply what they merge; nothing that we write has any."""
            if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
                raise ValueError("has merge keys ('<<')")

    try:
        content = yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {getattr(error, 'problem', None) or error}") from None
    _check_depth(content)
    return content


def _check_depth(content: Any) -> None:
    """Aliases can put a list into itself, and deep ones together."""
    level = [content]
    for _ in range(MAX_DEPTH):
        inside: dict[int, Any] = {}
        for each in level:
            for part in each.values() if isinstance(each, dict) else each if isinstance(each, list) else ():
                if isinstance(part, dict | list):
                    inside[id(part)] = part
        if not inside:
            return
        level = list(inside.values())
    raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
