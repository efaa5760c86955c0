"""What the last map said before it, and what came of that: R and the branching ratio (eq. 231, 232)."""

import numpy as np

from analysis import style
from analysis.explain.estimate import interval
from analysis.explain.scene import Scene
from analysis.explain.section import Section
from analysis.feedback_number import WINDOW
from analysis.feedback_profile import event_of

TITLE = "What could be known before"
CAUTION = (
    "R ranks markets; which day of one market turns out worse it says where levels are even, and hardly where they "
    "lie in lumps."
)


def feedback(scene: Scene) -> Section:
    """R at the mark, the largest on the way and where, and the branching ratio of all calls from the first on."""
    event = event_of(scene.market, scene.tree, scene.cascade)
    if event is None:
        return Section(TITLE, ("Not known: no map of liquidation levels was taken before the first call.",))
    before = event.before
    place = int(np.argmax(before.number))
    near = float(before.start[place])
    way = "down" if scene.falls else "up"
    largest = (
        f", the largest on the way {way}"
        if place == 0
        else f" and at most {_number(before.largest)} on the way {way}, from {near * 100:.1f} to "
        f"{(near + WINDOW) * 100:.1f} % {scene.beyond} it"
    )
    calls = style.plural(event.calls, "call")
    sentences = (
        f"On the map of {style.clock(before.time_s)} R, what waited to be forced in a window of 1 % over what rested "
        f"there, was {_number(before.at_price)} at the mark{largest}.",
        f"What came of it: a branching ratio of {interval(event.branching)}, the part that forced orders made of the "
        f"moves behind {calls} from then on.",
        CAUTION,
    )
    return Section(TITLE, sentences, leading=len(sentences))


def _number(value: float) -> str:
    return "infinite (nothing rested)" if value == float("inf") else f"{value:.2f}"
