"""How far the mark follows what trades do to the price (eq. 172)."""

from analysis import style
from analysis.causes import CausalTree

FOLLOWS = 0.9
"""From this pass-through on nothing is said: marks follow trades, as one expects."""
DEAF = 0.05


def follows(tree: CausalTree) -> list[str]:
    """A sentence where the mark follows trades in part or not at all."""
    if not len(tree.calls) or tree.pass_through >= FOLLOWS:
        return []
    if tree.pass_through < DEAF:
        return ["Trades have no say in the mark here: forced orders, however many, cause no margin call."]
    passed = style.percent(tree.pass_through, 0)
    return [f"The mark passes on only {passed} of what trades do to the price within a minute; so much of it counts."]
