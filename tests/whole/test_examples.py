"""What the documentation shows works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.model


def test_the_custom_agent_buys_and_panics() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error::DeprecationWarning:mesa", "examples/custom_agent.py"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert "time_s" in result.stdout.splitlines()[0]
    assert "panicked at" in result.stdout.splitlines()[-1]


def test_the_example_scenario_runs_like_any_other(tmp_path: Path) -> None:
    from marginquake import load_scenario, run

    scenario = load_scenario(ROOT / "examples" / "one_trader.yaml", ["duration=2s"])
    result = run(scenario, out=tmp_path, figures=False)
    assert result.summary["fills"] > 0  # type: ignore[operator]


def test_the_example_of_ones_own_accounts_finds_each_of_them_again(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from marginquake import load_scenario, run

    scenario = load_scenario(ROOT / "examples" / "account_book.yaml", ["duration=2s", "warmup=2s"])
    accounts = pq.read_table(run(scenario, out=tmp_path, figures=False).path / "accounts.parquet").to_pydict()
    left_out = {name: why for name, why in zip(accounts["id"], accounts["left_out"], strict=True) if name}
    assert sorted(left_out) == [f"DE-{number}" for number in range(1001, 1021)]
    assert [name for name, why in left_out.items() if why] == ["DE-1016"]
    assert "line 17 (DE-1016): liquidated already at 100000" in str(scenario.warnings[0])
