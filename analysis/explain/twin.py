"""What the twin says, and what the tree says beside it."""

import numpy as np

from analysis import style
from analysis.causes import Branching
from analysis.explain.scene import Scene
from analysis.explain.section import Section
from analysis.twins import Estimate, TwinResult, known_twins

TITLE = "What the twin says"


def twin(scene: Scene) -> Section:
    """Known counterfactuals of the run, the branching ratio of the tree, and what an outsider would have estimated."""
    known = [
        each for each in known_twins(scene.run) if each.market == scene.market.name and each.without != ("nothing",)
    ]
    sentences = [_twin_sentence(each) for each in known]
    if not sentences:
        path = "RUN" if scene.run.path.name.startswith(".") else scene.run.path  # a run that has no name yet
        sentences.append(f"No twin is known yet: marginquake counterfactual {path} --without liquidation makes one.")
    sentences += _branching(scene, known)
    rows = tuple(
        (
            " and ".join(effect.of) + (f", without {' and '.join(effect.given)}" if effect.given else ""),
            _interval(effect.amplification),
            _interval(effect.share, 100, " %"),
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
        f"{style.percent(result.fall_without)} instead of {style.percent(result.fall_with)}"
    )
    if len(result.seeds) > 1:
        return f"{text}; over {len(result.seeds)} seeds the amplification is {_interval(result.amplification)}."
    if not result.fall_without:
        return f"{text}."
    return f"{text}: {result.fall_with / result.fall_without:.2f} times as much with it."


def _branching(scene: Scene, known: list[TwinResult]) -> list[str]:
    tree = scene.tree
    own, whole, first, hawkes = tree.branching_of(scene.cascade), tree.branching, tree.first_calls, tree.outsider.hawkes
    inside = sum(len(cascade.calls) for cascade in tree.several)
    mine = f"; {_interval(own)} in this cascade, picked because its calls hang together" if scene.is_cascade else ""
    told = [
        f"By the causal tree forced orders made {_interval(whole)} of the moves that called accounts in this run: the "
        f"branching ratio ({_interval(first)} over the first call of each account{mine}). Of {len(tree.calls):,} calls "
        f"{inside:,} belong to {style.plural(len(tree.several), 'cascade')}; the others stand alone."
    ]
    liquidation = [each for each in known if each.without == ("liquidation",)]
    if liquidation and liquidation[0].forced_share.value == liquidation[0].forced_share.value:
        last = scene.market.run["last"]
        farthest = np.nanmin(last) if scene.falls else np.nanmax(last)
        elsewhere = scene.series["last"][scene.extreme] != farthest
        told.append(
            f"The twin's counterpart is 1 - 1/A = {liquidation[0].forced_share.value:.2f}"
            + (f", of the run's largest {liquidation[0].direction}, which this is not." if elsewhere else ".")
        )
    if hawkes.value == hawkes.value:
        fits = "fits" if tree.outsider.fit_p > 0.05 else "does not fit"
        text = (
            f"Somebody who sees only the times of calls would estimate {_interval(hawkes)} (Hawkes; the process "
            f"{fits}, p = {tree.outsider.fit_p:.2g}), {hawkes.value - whole.value:+.2f} against the tree"
        )
        too_much = hawkes.value > whole.value and not whole.high >= hawkes.value
        told.append(f"{text}: he takes what the outside price did for contagion." if too_much else f"{text}.")
    return told


def _interval(estimate: Estimate | Branching, scale: float = 1.0, unit: str = "") -> str:
    value, low, high = (scale * each for each in (estimate.value, estimate.low, estimate.high))
    digits = 0 if scale > 1 else 2
    if value != value:
        return "none"
    text = f"{value:.{digits}f}{unit}"
    return text if low != low else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
