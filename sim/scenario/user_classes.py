"""Classes of the user in the tree of a scenario: where they are named, and what is to be said of them."""

from collections.abc import Sequence
from pathlib import Path

from marginquake.sim.core.plugins import import_class, is_left_unread, is_outdated, search_in, tell_of
from marginquake.sim.core.problems import ScenarioWarning, shown_path
from marginquake.sim.scenario.scenario import CLASS_KEYS
from marginquake.sim.scenario.yaml_tree import Node


def classes_in(tree: Node) -> list[Node]:
    """The nodes that name a class of the user."""
    return [
        node
        for node in tree.walk()
        if node.path[-1:] and node.path[-1] in CLASS_KEYS and isinstance(node.value, str) and ":" in node.value
    ]


def prepare_import(tree: Node, folders: Sequence[Path]) -> list[Path]:
    """Before any is imported: they may lie in `folders`, or beside the file that names them, and it is said which.

    The folders in which they are looked for from now on; none where no class is named, or code is not allowed.
    """
    named = classes_in(tree)
    if not named:
        return []
    searched = search_in([*folders, *(node.place.folder for node in named)])
    tell_of([str(node.value) for node in named])
    return searched


def has_unread(tree: Node) -> bool:
    """Whether a class is named there that is not imported."""
    return any(is_left_unread(str(node.value)) for node in classes_in(tree))


def remarks(tree: Node) -> list[ScenarioWarning]:
    """Classes that were not imported, and those whose module was edited after this process had imported it."""
    found = []
    for node in classes_in(tree):
        if is_left_unread(str(node.value)):
            said = "is code, which was not imported: what only this class reads was not checked"
            found.append(_remark("unread_class", node, said, "if you trust it, --allow-code imports it"))
        elif is_outdated(import_class(str(node.value))):
            said = "its module has been edited since Python imported it, and goes on as it was"
            found.append(_remark("edited_class", node, said, "start Python again"))
    return found


def _remark(name: str, node: Node, said: str, way_out: str) -> ScenarioWarning:
    return ScenarioWarning(name, node.place, shown_path(node.path), said, way_out, node.shown())
