"""The causal tree where the book has no say in the mark: forced orders move no mark, so they cause no call."""

from dataclasses import replace

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.causes import CausalTree, causal_tree
from marginquake.analysis.explanation.feedback import follows
from marginquake.analysis.frames.run_frames import frames_of
from marginquake.sim.runs.event_log import MemoryLog
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import simulate
from tests.support.paths import SCENARIOS

pytestmark = pytest.mark.model

SCENARIO = SCENARIOS / "long_squeeze.yaml"
EARLY = ("duration=170s", "step=200ms", "index.shocks=[{at: 20s, log_return: -1.3%, over: 40s}]")


def tree_of(*overrides: str) -> CausalTree:
    loaded = load_scenario(SCENARIO, AGENT_TYPES, (*EARLY, *overrides))
    return causal_tree(frames_of(simulate(loaded, loaded.seed, open_log=MemoryLog), loaded).first)


def test_a_mark_that_is_the_outside_price_leaves_nothing_to_forced_orders() -> None:
    """The twin without liquidations has the very same marks: whatever was sold, the true effect is nothing."""
    tree = tree_of("venue.mark.rule=index", "index.feedback.enabled=false")
    assert len(tree.calls) > 100
    assert len(tree.forced.call) > 100
    assert tree.pass_through < 0.03
    assert tree.branching.value < 0.02
    assert np.abs(tree.calls.forced).max() < 0.05 * np.abs(tree.calls.move).max()
    assert follows(tree) == ["Trades have no say in the mark here: forced orders, however many, cause no margin call."]


def test_a_mark_that_is_the_last_price_follows_trades() -> None:
    tree = tree_of("venue.mark.rule=last")
    assert tree.pass_through > 0.95
    assert tree.branching.value > 0.1
    assert follows(tree) == []
    assert "only 50 %" in follows(replace(tree, pass_through=0.5))[0]
