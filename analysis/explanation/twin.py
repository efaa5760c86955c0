"""What the twin says, and what the tree says beside it."""

from shlex import quote

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.explanation.cascade_view import CascadeView, Section
from marginquake.analysis.explanation.feedback import follows
from marginquake.analysis.explanation.outsider import outsider
from marginquake.analysis.statistics.estimate import interval
from marginquake.analysis.studies.twins import TwinResult, known_twins
from marginquake.analysis.studies.twins.sentences import two_sizes

TITLE = "What the twin says"


def twin(view: CascadeView) -> Section:
    """Known counterfactuals of the run, the branching ratio of the tree, and what an outsider would have estimated."""
    known = [each for each in known_twins(view.run) if each.market == view.market.name and each.without != ("nothing",)]
    sentences = [_twin_sentence(each) for each in known]
    if not sentences:
        name = view.run.path.name
        name = "RUN" if name.startswith(".") else name  # a run that has no name yet
        sentences.append(
            f"No twin is known yet: `marginquake counterfactual {quote(name)} --without liquidation` makes one."
        )
    sentences += filter(None, (two_sizes(each.direction, view.market.run["last"]) for each in known[:1]))
    sentences += _branching(view, known)
    rows = tuple(
        (
            " and ".join(effect.of) + (f", without {' and '.join(effect.given)}" if effect.given else ""),
            interval(effect.amplification),
            interval(effect.share, 100, " %"),
            str(effect.n),
        )
        for each in known
        for effect in each.effects
    )
    headings = ("effect of", "amplification", "share of the move", "seeds") if rows else ()
    return Section(TITLE, tuple(sentences), headings, rows)


def _twin_sentence(result: TwinResult) -> str:
    word = "fell" if result.direction == "fall" else "rose"
    text = (
        f"Without {' and '.join(result.without)}, with the same seed, the price {word} by "
        f"{formats.percent(result.fall_without)} instead of {formats.percent(result.fall_with)} from its start"
    )
    if len(result.seeds) > 1:
        return f"{text}; over {len(result.seeds)} seeds the amplification is {interval(result.amplification)}."
    if not result.fall_without:
        return f"{text}."
    return f"{text}: {result.fall_with / result.fall_without:.2f} times as much with it."


def _branching(view: CascadeView, known: list[TwinResult]) -> list[str]:
    tree = view.tree
    own, whole, first = tree.branching_of(view.cascade), tree.branching, tree.first_calls
    inside = sum(len(cascade.calls) for cascade in tree.several)
    mine = f"; {interval(own)} in this cascade, picked because its calls hang together" if view.is_cascade else ""
    belong = (
        f"{inside:,} belong to {formats.plural(len(tree.several), 'cascade')}; the others stand alone"
        if inside
        else "none caused another"
    )
    found = [
        f"By the causal tree forced orders made {interval(whole)} of the moves that called accounts in this run: the "
        f"branching ratio ({interval(first)} over the first call of each account{mine}). Of {len(tree.calls):,} calls "
        f"{belong}."
    ]
    liquidation = [each for each in known if each.without == ("liquidation",) and each.fall_with > 0]
    if liquidation:
        last = view.market.run["last"]
        farthest = np.nanmin(last) if view.falls else np.nanmax(last)
        elsewhere = view.series["last"][view.extreme] != farthest
        found.append(
            f"The counterpart of this run's own twin is 1 - 1/A = "
            f"{1 - liquidation[0].fall_without / liquidation[0].fall_with:.2f}"
            + (f", of the run's {liquidation[0].direction} from its start, which ends elsewhere." if elsewhere else ".")
        )
    return [*found, *follows(tree), *outsider(tree)]
