"""Mutants of every shipped file: each becomes a scenario, or an error with a line, in little memory and time.

`MARGINQUAKE_THOROUGH=1` tries thousands; `MARGINQUAKE_MUTANTS=n` says how many.  The same are tried every time.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from marginquake.sim.scenario.bounds.budget import MAX_VALUES
from tests.golden import THOROUGH
from tests.support.hostile.mutants import SHIPPED, mutant, read, written
from tests.support.hostile.watched import MORE_MB, Watched
from tests.support.paths import ROOT

MUTANTS = int(os.environ.get("MARGINQUAKE_MUTANTS", 6000 if THOROUGH else 250))
RUN_EVERY = 10
"""Of those that are read, every so many is run."""
LINELESS = ("the file is empty", "no such file", "holds more than 4 MB")
"""What is said of a file as a whole."""
counts: Counter[str] = Counter()


@pytest.fixture(scope="module")
def reader() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside a mutant lies what it may name."""
    folder = tmp_path_factory.mktemp("mutants")
    for name in ("tiny.yaml", "tiny_sweep.yaml"):
        (folder / name).write_text((ROOT / "tests" / "scenarios" / name).read_text())
    (folder / "sub").mkdir()
    return folder


def check(answer: dict[str, Any], file: Path) -> None:
    """It is a scenario, or an error with a line; it cost little."""
    counts[answer["outcome"]] += 1
    assert answer["outcome"] in ("read", "refused"), answer
    assert answer["nodes"] <= MAX_VALUES + 1
    assert answer["more_mb"] < MORE_MB, answer
    if answer["outcome"] == "refused":
        assert answer["told"]
        for line, source, text in answer["told"]:
            assert line > 0 or any(said in text for said in LINELESS), text
            assert source
            assert len(text) < 3000
            for noise in ("Errno", "pydantic", "Input should", "Traceback", "root:x:"):
                assert noise not in text


@settings(
    max_examples=MUTANTS, deadline=None, derandomize=True, database=None, print_blob=False,
    phases=(Phase.generate,) if THOROUGH else (Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
)  # fmt: skip
@given(seed=st.integers(0, 2**64), path=st.sampled_from(SHIPPED))
def test_a_mutant_is_a_scenario_or_an_error_with_a_line(
    reader: Watched, runner: Watched, folder: Path, seed: int, path: Path
) -> None:
    kind, file = written(Random(seed), path, folder / "sub")
    answer = reader.ask(kind, file)
    check(answer, file)
    if kind == "scenario" and answer["outcome"] == "read" and counts["read"] % RUN_EVERY == 0:
        ran = runner.ask("run", file)
        counts[f"run: {ran['outcome']}"] += 1
        assert ran["outcome"] in ("ran", "refused", "too large to be run here"), (ran, file.read_text())


def test_enough_mutants_were_read_and_enough_refused(request: pytest.FixtureRequest) -> None:
    """Runs after the one above, in the same process; says what was tried."""
    tried = counts["read"] + counts["refused"]
    if not tried:
        pytest.skip("the mutants were tried in another process")
    with request.getfixturevalue("capsys").disabled():
        print(f"\n{tried} mutants: {dict(counts)}")
    assert counts["read"] > 0.05 * tried
    assert counts["refused"] > 0.2 * tried
    assert counts["run: ran"] > 0


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shipped_file_is_mutated_as_what_it_is(path: Path) -> None:
    assert isinstance(read(path), dict)
    assert mutant(Random(1), path) == mutant(Random(1), path)
