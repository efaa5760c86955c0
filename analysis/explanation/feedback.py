"""What the last map said before it, and what came of that: R and the branching ratio (eq. 231, 232)."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import CausalTree
from marginquake.analysis.explanation.cascade_view import CascadeView, Section
from marginquake.analysis.levels.feedback import WINDOW, event_of
from marginquake.analysis.statistics.estimate import interval

TITLE = "What could be known before"
CAUTION = (
    "R ranks markets; which day of one market turns out worse it says where levels are even, and hardly where they "
    "lie in lumps."
)


def feedback(view: CascadeView) -> Section:
    """R at the mark, the largest on the way and where, and the branching ratio of all calls from the first on."""
    event = event_of(view.market, view.tree, view.cascade)
    if event is None:
        return Section(TITLE, ("Not known: no map of liquidation levels was taken before the first call.",))
    before = event.before
    place = int(np.argmax(before.number))
    near = float(before.start[place])
    way = "down" if view.falls else "up"
    largest = (
        f", the largest on the way {way}"
        if place == 0
        else f" and at most {_number(before.largest)} on the way {way}, from {near * 100:.1f} to "
        f"{(near + WINDOW) * 100:.1f} % {view.beyond} it"
    )
    calls = formats.plural(event.calls, "call")
    sentences = (
        f"On the map of {formats.clock(before.time_s)} R, what waited to be forced in a window of 1 % over what rested "
        f"there, was {_number(before.at_price)} at the mark{largest}.",
        f"What came of it: a branching ratio of {interval(event.branching)}, the part that forced orders made of the "
        f"moves behind {calls} from then on.",
        CAUTION,
    )
    return Section(TITLE, sentences, leading=len(sentences))


def _number(value: float) -> str:
    return "infinite (nothing rested)" if value == float("inf") else f"{value:.2f}"


FOLLOWS = 0.9
"""From this pass-through on nothing is said: marks follow trades, as one expects."""
DEAF = 0.05


def follows(tree: CausalTree) -> list[str]:
    """A sentence where the mark follows trades in part or not at all."""
    if not len(tree.calls) or tree.pass_through >= FOLLOWS:
        return []
    if tree.pass_through < DEAF:
        return ["Trades have no say in the mark here: forced orders, however many, cause no margin call."]
    passed = formats.percent(tree.pass_through, 0)
    return [f"The mark passes on only {passed} of what trades do to the price within a minute; so much of it counts."]
