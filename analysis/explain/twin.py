"""What the twin says, and what the tree says beside it."""

from analysis import style
from analysis.causes import Branching
from analysis.explain.scene import Scene
from analysis.explain.section import Section
from analysis.twins import Estimate, TwinResult, known_twins

TITLE = "What the twin says"


def twin(scene: Scene) -> Section:
    """Known counterfactuals of the run, the branching ratio of the tree, and what an outsider would have estimated."""
    known = [each for each in known_twins(scene.run) if each.market == scene.market.name]
    sentences = [_twin_sentence(each) for each in known if each.without]
    if not sentences:
        name = scene.run.path.name
        sentences.append(f"No twin is known yet: marginquake counterfactual {name} --without liquidation makes one.")
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
    return Section(
        TITLE, tuple(sentences), ("effect of", "amplification", "share of the move", "seeds") if rows else (), rows
    )


def _twin_sentence(result: TwinResult) -> str:
    word = "fell" if result.direction == "fall" else "rose"
    text = (
        f"Without {' and '.join(result.without)}, with the same seed, the price {word} by "
        f"{style.percent(result.fall_without)} instead of {style.percent(result.fall_with)}"
    )
    if len(result.seeds) == 1:
        return (
            f"{text}: {result.fall_with / result.fall_without:.2f} times as much with it."
            if result.fall_without
            else f"{text}."
        )
    return f"{text}; over {len(result.seeds)} seeds the amplification is {_interval(result.amplification)}."


def _branching(scene: Scene, known: list[TwinResult]) -> list[str]:
    own = scene.tree.branching_of(scene.cascade)
    whole, outsider = scene.tree.branching, scene.tree.outsider
    inside = sum(len(cascade.calls) for cascade in scene.tree.several)
    told = [
        f"By the causal tree forced orders made {_interval(own)} of the moves that called this cascade's accounts "
        f"({_interval(whole)} over all calls of the run): the branching ratio. Of the run's {len(scene.tree.calls):,} "
        f"calls {inside:,} belong to {style.plural(len(scene.tree.several), 'cascade')}; the others stand alone."
    ]
    liquidation = [
        each for each in known if "liquidation" in each.without and each.forced_share.value == each.forced_share.value
    ]
    if liquidation:
        told.append(f"The twin's counterpart is 1 - 1/A = {liquidation[0].forced_share.value:.2f}.")
    if outsider.hawkes.value == outsider.hawkes.value:
        fits = "fits" if outsider.fit_p > 0.05 else "does not fit"
        told.append(
            f"Somebody who sees only the times of calls would estimate {_interval(outsider.hawkes)} (Hawkes; the "
            f"process {fits}, p = {outsider.fit_p:.2g}), {outsider.hawkes.value - whole.value:+.2f} against the tree: "
            "he takes what the outside price did for contagion."
        )
    return told


def _interval(estimate: Estimate | Branching, scale: float = 1.0, unit: str = "") -> str:
    value, low, high = (scale * each for each in (estimate.value, estimate.low, estimate.high))
    digits = 0 if scale > 1 else 2
    if value != value:
        return "none"
    text = f"{value:.{digits}f}{unit}"
    return text if low != low else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
