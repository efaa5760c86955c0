"""What the command line loads, and what it leaves for later."""

import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

# Not pydantic: typer looks at it, and most of it stays unread.
HEAVY = (
    "mesa",
    "numba",
    "numpy",
    "pandas",
    "matplotlib",
    "scipy",
    "pyarrow",
    "dask",
    "distributed",
    "rich",
)
COMMANDS = (
    "run", "new", "validate", "schema", "list", "show", "plot", "report", "facts", "replay", "clean", "verify",
    "doctor", "sweep", "compare", "tipping", "sensitivity", "first-passage", "liquidations", "risk", "watch",
    "clusters", "counterfactual", "early-warning", "explain", "export",
)  # fmt: skip


def loaded_after(program: str) -> set[str]:
    """Top-level names in sys.modules after a program in a process of its own."""
    ending = "\nimport sys; print('modules', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program + ending],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    last = done.stdout.splitlines()[-1].split()
    assert last[0] == "modules"
    return set(last[1:])


def test_help_of_every_command_loads_nothing_heavy() -> None:
    calls = [("--help",), *((command, "--help") for command in COMMANDS)]
    program = "\n".join(
        [
            "import sys, contextlib",
            "from marginquake.sim.cli import main",
            f"for arguments in {calls!r}:",
            "    sys.argv = ['marginquake', *arguments]",
            "    with contextlib.suppress(SystemExit):",
            "        main.main()",
        ]
    )
    assert sorted(loaded_after(program) & set(HEAVY)) == []


def test_the_list_of_commands_above_is_complete() -> None:
    from marginquake.sim.cli.main import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert names == set(COMMANDS)


@pytest.mark.parametrize("module", ["pandas", "networkx", "scipy.linalg"])
def test_the_simulator_runs_a_step_without_what_is_postponed(module: str) -> None:
    program = f"""
import sys
from marginquake.sim.cli.lazy_imports import postpone
postpone()
from marginquake.agents import AGENT_TYPES
from pathlib import Path
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.loader import load_scenario
MarketModel(load_scenario(Path("tests/scenarios/tiny.yaml"), AGENT_TYPES), AGENT_TYPES).step()
assert "__waiting__" in vars(sys.modules.get({module!r}, sys)) or {module!r} not in sys.modules, "it was executed"
"""
    loaded_after(program)


def test_a_postponed_module_is_whole_when_used() -> None:
    program = """
from marginquake.sim.cli.lazy_imports import postpone
postpone(["fractions", "json"], ["xml"])
import fractions, json, sys
import xml.dom
assert "__waiting__" in vars(fractions) and fractions.__file__
assert fractions.Fraction(1, 2) + 1 == fractions.Fraction(3, 2)
assert "__waiting__" not in vars(fractions)
import json.decoder  # importing a submodule is a use
assert json.loads("[1]") == [1]
assert "__waiting__" in vars(sys.modules["xml"]) and xml.dom.Node  # but not of an open package
try:
    fractions.nonsense
except AttributeError as error:
    assert "'fractions' has no attribute 'nonsense'" in str(error)
else:
    raise SystemExit("an attribute that is not there was found")
"""
    loaded_after(program)


def test_a_postponed_module_is_executed_once_by_many_threads() -> None:
    program = """
import pathlib, sys, tempfile, threading
folder = tempfile.mkdtemp()
source = "import time; COUNT = globals().get('COUNT', 0) + 1; time.sleep(0.05); LAST = COUNT"
pathlib.Path(folder, "slow.py").write_text(source)
sys.path.insert(0, folder)
from marginquake.sim.cli.lazy_imports import postpone
postpone(["slow"])
import slow
seen = []
threads = [threading.Thread(target=lambda: seen.append(slow.LAST)) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert seen == [1] * 8, seen
"""
    loaded_after(program)
