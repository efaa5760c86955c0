"""A model that went through a pickle is the same model: same arrays, same sharing of memory, same future."""

import io
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.records import EVENT, packed
from marginquake.sim.kernels.state import touching
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs import unpickler
from marginquake.sim.runs.model_pickle import ArrayPickler
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import release
from tests.support.paths import SCENARIOS

EVERYBODY = SCENARIOS / "everyday_market.yaml"
SHORT = ("duration=60s", "warmup=60s", "record.events=all", "populations.hft.decision_interval=1s")
AS_SHIPPED = {kind for kind, found in AGENT_TYPES.items() if found.configured_by is None}


def again(thing: Any) -> Any:
    stored = io.BytesIO()
    ArrayPickler(stored, protocol=5).dump(thing)
    return unpickler.load(stored.getvalue())


def arrays_in(root: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Every array that can be reached, by its path."""
    seen: set[int] = set()
    left: list[tuple[str, Any]] = [("model", root)]
    while left:
        path, thing = left.pop()
        if isinstance(thing, np.ndarray):
            yield path, thing
            continue
        if id(thing) in seen or isinstance(thing, str | bytes | int | float | type | np.generic | np.dtype):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            left += [(f"{path}[{key!r}]" if isinstance(key, str | int) else f"{path}[.]", thing[key]) for key in thing]
        elif isinstance(thing, list | tuple | deque):
            left += [(f"{path}[{k}]", each) for k, each in enumerate(thing)]
        else:
            slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
            names = [*getattr(thing, "__dict__", {}), *slots]
            left += [(f"{path}.{name}", getattr(thing, name)) for name in names if hasattr(thing, name)]


def owner_of(values: np.ndarray[Any, Any]) -> int:
    """What memory an array is in."""
    while isinstance(values.base, np.ndarray):
        values = values.base
    return id(values)


def sharing(arrays: dict[str, np.ndarray[Any, Any]]) -> list[list[str]]:
    """Paths whose arrays lie in the same memory."""
    groups: dict[int, list[str]] = {}
    for path, values in arrays.items():
        groups.setdefault(owner_of(values), []).append(path)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


# ---- arrays --------------------------------------------------------------------------------------------------------


def test_a_view_stays_a_view() -> None:
    rows = np.zeros(6, [("a", "i8"), ("b", "i4")])
    view = rows[2:5].view()
    view.flags.writeable = False
    stored_rows, stored_view, column, backwards = again((rows, view, rows["b"], rows["a"][::-2]))
    stored_rows["a"][2], stored_rows["b"][5] = 7, 9
    assert stored_view["a"][0] == 7
    assert column[5] == 9
    stored_rows["a"][1] = 3
    assert backwards.tolist() == [0, 0, 3]
    with pytest.raises(ValueError, match="read-only"):
        stored_view["a"][0] = 1


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.zeros(0, EVENT),
        np.zeros((0, 4)),
        np.array(3),
        np.array(["a", "bc"]),
        np.array([True, False]),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}"[:30],
)
def test_arrays_of_any_kind_come_back(values: np.ndarray[Any, Any]) -> None:
    stored = again(values)
    assert (stored.dtype, stored.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(stored, values)


def test_what_came_back_owns_its_memory_and_can_go_again() -> None:
    rows = np.arange(5)
    stored = again(again((rows, rows[1:3])))
    assert stored[0].flags.owndata
    assert stored[0].flags.writeable
    stored[0][1] = 99
    assert stored[1][0] == 99


def test_a_view_of_columns_that_lie_side_by_side_stays_one() -> None:
    owner = np.asfortranarray(np.zeros((3, 4)))
    stored, part = again((owner, owner[1:, 2]))
    stored[2, 2] = 5.0
    assert part.tolist() == [0.0, 5.0]


def test_a_read_only_array_stays_read_only() -> None:
    values = np.arange(3)
    values.flags.writeable = False
    assert not again(values).flags.writeable


def test_a_compiled_function_comes_back_as_the_one_of_its_module() -> None:
    assert again([touching])[0] is touching


# ---- models --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halfway() -> Iterator[MarketModel]:
    """Every type of participant, in the middle of a run."""
    scenario = load_scenario(EVERYBODY, AGENT_TYPES, SHORT)
    assert {population.type for population in scenario.populations.values()} == AS_SHIPPED
    model = MarketModel(scenario, AGENT_TYPES)
    for _ in range(90):
        model.step()
    yield model
    release(model)


def test_arrays_of_a_model_share_memory_as_before(halfway: MarketModel) -> None:
    before, after = (dict(arrays_in(model)) for model in (halfway, again(halfway)))
    assert before.keys() == after.keys()
    assert sharing(before) == sharing(after)
    shared = {path for group in sharing(before) for path in group}
    assert any("._block" in path for path in shared), "participants look at the account table itself"
    assert any(".columns" in path for path in shared), "the queue of commands is written by column"
    for path, values in before.items():
        assert values.flags.writeable == after[path].flags.writeable, path
        assert values.tobytes() == after[path].tobytes() or values.dtype.hasobject, path


def test_the_future_of_a_stored_model_is_that_of_the_model(halfway: MarketModel) -> None:
    stored = again(again(halfway))
    for model in (halfway, stored):
        while model.steps_done < model.steps_total:
            model.step()
    ends = [model.finish() for model in (halfway, stored)]
    release(stored)
    assert ends[0].summary == ends[1].summary
    assert packed(ends[0].events["main"]) == packed(ends[1].events["main"])
    for name, column in ends[0].series.items():
        np.testing.assert_array_equal(column, ends[1].series[name])
