"""Blocks of rules before they are read: names are looked up, and what only another rule of a family reads is left out.

`mark: {rule: last, basis_window: 30s}` stays valid: a preset says `basis_window`, a scenario on top of it another rule.
The field is accepted, and a warning says that nothing reads it.
"""

from collections.abc import Callable
from typing import Any

from marginquake.sim.core.plugins import is_left_unread, may_import
from marginquake.sim.core.problems import Problem, ScenarioWarning, shown_path
from marginquake.sim.rules.faults import FAULTS
from marginquake.sim.rules.registry import Registry, field_names
from marginquake.sim.scenario.config import RULE_BLOCKS
from marginquake.sim.scenario.yaml_tree import Node, Path_

Found = list[Problem]
Warned = list[ScenarioWarning]


def settle_rules(tree: Node) -> tuple[Node, Found, Warned]:
    """The tree of a market with every rule's block as its rule reads it; problems, and warnings of what was left out.

    A block whose rule does not exist is a problem, and goes on as that of the rule that was probably meant.
    """
    problems: Found = []
    warned: Warned = []
    for path, family in RULE_BLOCKS.items():

        def settled(node: Node, family: Registry[Any] = family) -> Node | None:
            if isinstance(node.value, list) and family is FAULTS:
                kept = [_settled(item, family, problems, warned) for item in node.value]
                return Node([item for item in kept if item is not None], node.place, node.path, node.deletes)
            return _settled(node, family, problems, warned)

        tree = _changed(tree, path, settled) or tree
    return tree, problems, warned


def _settled(node: Node, family: Registry[Any], problems: Found, warned: Warned) -> Node | None:
    named = node if isinstance(node.value, str) and family.may_be_a_name else node.child(family.key)
    name = named.value if named is not None and not (named.value is None and named.deletes) else family.default
    if not isinstance(name, str):
        return node
    try:
        rule = family.find(name)
    except ValueError as why:
        assert named is not None
        suggestion = family.nearest(name)
        problems.append(Problem(named.place, shown_path(named.path), str(why), named.shown(), suggestion))
        if ":" in name and not may_import(name):
            return None
        likely = suggestion or family.default
        if likely is None or family.key == "type" or not isinstance(node.value, dict):
            return None
        meant = Node(likely, named.place, named.path)
        return _settled(Node({**node.value, family.key: meant}, node.place, node.path), family, problems, [])
    if not isinstance(node.value, dict) or is_left_unread(name):
        return node
    own = field_names(rule.config_type)
    kept = {}
    for key, child in node.value.items():
        if key in own or not family.is_of_another(key):
            kept[key] = child
        elif not child.deletes:
            readers = " and ".join(family.readers(key))
            message = f"not read: the {family.family} is {name}"
            way_out = f"{readers} would read it"
            warned.append(
                ScenarioWarning("no_effect", child.place, shown_path(child.path), message, way_out, child.shown())
            )
    return Node(kept, node.place, node.path, node.deletes)


def _changed(node: Node, path: Path_, change: Callable[[Node], Node | None]) -> Node | None:
    """The same tree with the node at `path` changed (None: taken out); markets share nodes, so nothing is written."""
    if not path:
        return change(node)
    child = node.child(path[0])
    if child is None or not isinstance(node.value, dict):
        return node
    new = _changed(child, path[1:], change)
    value = {key: old for key, old in node.value.items() if key != path[0] or new is not None}
    if new is not None:
        value[str(path[0])] = new
    return Node(value, node.place, node.path, node.deletes)
