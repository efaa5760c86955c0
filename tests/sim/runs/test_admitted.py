"""The list of what a checkpoint may hold is true: all that runs are made of is on it, and nothing that acts."""

import importlib
import inspect
import io
from functools import partial
from pathlib import Path

import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.sim.model.model import MarketModel
from marginquake.sim.rules.registry import FAMILIES
from marginquake.sim.runs import unpickler
from marginquake.sim.runs.admitted import ADMITTED, WITH_STATE_OF_THEIR_OWN, NotAdmitted
from marginquake.sim.runs.event_log import logs_in
from marginquake.sim.runs.model_pickle import ArrayPickler
from marginquake.sim.studies.run import load_scenario, release
from tests.support.paths import ROOT, SCENARIOS, TESTS, TINY
from tests.support.whole_market import EVERYTHING

WAY_OUT = "add it to ADMITTED in sim/runs/admitted.py, if it holds data and writes no file by itself"
KINDS: list[tuple[Path, tuple[str, ...]]] = [
    *((path, ()) for path in sorted(SCENARIOS.glob("*.yaml")) if path.stem != "million_accounts"),
    *((path, ()) for path in sorted((SCENARIOS / "venues_compared").glob("[bdh]*.yaml"))),
    (TINY, EVERYTHING),
    (ROOT / "examples" / "account_book.yaml", ()),
    (TESTS / "scenarios" / "hedged_crowd.yaml", ()),
]


def key(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@pytest.mark.model
@pytest.mark.parametrize(("path", "overrides"), KINDS, ids=lambda value: getattr(value, "stem", ""))
def test_a_checkpoint_of_every_kind_of_run_can_be_read(path: Path, overrides: tuple[str, ...], tmp_path: Path) -> None:
    model = MarketModel(load_scenario(path, overrides), AGENT_TYPES, open_log=partial(logs_in, tmp_path))
    for _ in range(12):
        model.step()
    model.recorder.settle()
    stored = io.BytesIO()
    ArrayPickler(stored, protocol=5).dump(model)
    try:
        again = unpickler.load(stored.getvalue())
    except NotAdmitted as error:
        pytest.fail(f"{error}\n{WAY_OUT}")
    again.recorder.move_logs(tmp_path)
    again.step()
    assert again.steps_done == model.steps_done + 1
    release(model)
    release(again)


def test_every_rule_and_trader_there_is_can_be_in_a_checkpoint() -> None:
    ours = [*AGENT_TYPES.values(), *(rule for family in FAMILIES for rule in family.values())]
    wanted = {key(each) for kind in ours for each in (kind, kind.config_type) if kind.__module__[:11] == "marginquake"}
    assert wanted - ADMITTED == set(), WAY_OUT


@pytest.mark.parametrize("name", sorted(ADMITTED))
def test_what_is_on_the_list_is_a_class_that_makes_no_other_object(name: str) -> None:
    """It is there, under that name; nothing of ours takes its attributes, or comes to life, by a method of its own."""
    module, _, qualified = name.partition(":")
    if module.startswith("mesa."):
        found = pytest.importorskip(module, reason="of another version of Mesa")
        if getattr(vars(found).get(qualified), "__module__", "") != module:
            pytest.skip("of another version of Mesa")
    found = importlib.import_module(module)
    for part in qualified.split("."):
        found = vars(found)[part]
    assert isinstance(found, type)
    assert key(found) == name
    assert not issubclass(found, BaseException)
    if name not in WITH_STATE_OF_THEIR_OWN and module.startswith("marginquake."):
        for method in ("__setstate__", "__reduce__", "__del__"):
            own = inspect.getattr_static(found, method, None)
            assert getattr(own, "__module__", "").partition(".")[0] != "marginquake", f"{name} has its own {method}"
