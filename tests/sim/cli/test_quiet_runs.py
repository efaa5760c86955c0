"""Every command on runs in which nothing happened: it answers, or says in a sentence why it cannot."""

import re
from pathlib import Path

import pytest

from marginquake.sim.studies import run as running
from tests.support.command_line import marginquake

SEEDS = 6
MAKERS = """
name: quiet
seed: 1
depth_1pct: 1M
index:
  fundamental: {type: gbm, volatility: 0}
record: {events: all, series_every: 1s, map_every: 5s, positions_every: 5s}
populations:
"""
CROWD = """\
  makers: {type: market_maker, accounts: 2}
  crowd: {type: retail, accounts: 20, leverage: 1, stop_share: 0}
  carry: {type: hedger, accounts: 1}
"""
LONG = "duration: 6min\nwarmup: 5s\nstep: 500ms\n"
KINDS = {
    "makers only": (LONG, "  makers: {type: market_maker, accounts: 2}\n"),
    "nobody trades": (LONG, "  whales: {type: whale, accounts: 1, parent_rate: 0.0}\n"),
    "nobody is liquidated": (LONG, CROWD),
    "one step": ("duration: 100ms\nwarmup: 0s\nstep: 100ms\n", CROWD),
    "a few steps": ("duration: 3s\nwarmup: 0s\nstep: 100ms\n", "  makers: {type: market_maker, accounts: 2}\n"),
}
"""What is short or still: length, and who is there."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Run directories of each kind, a seed each."""
    found = {}
    for kind, (length, populations) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind.replace(" ", "_"))
        (folder / "quiet.yaml").write_text(MAKERS.replace("populations:", f"{length}populations:") + populations)
        found[kind] = [
            running.run(folder / "quiet.yaml", seed, out=folder / "runs", figures=False).path
            for seed in range(1, SEEDS + 1)
        ]
    return found


ONE = {
    "show": (),
    "explain": (),
    "report": (),
    "plot": (),
    "clusters": (),
    "clusters --json": ("--json",),
    "liquidations": (),
    "liquidations --json": ("--json",),
    "facts": (),
    "risk": (),
    "early-warning": (),
    "replay": (),
    "counterfactual": ("--without", "liquidation"),
}
"""Commands that take a run, and what else they ask for."""


def said(kind: str, result: object) -> None:
    """It answered, or refused in a sentence: no error of the program, no 'nan'."""
    output, code, error = result.output, result.exit_code, result.exception  # type: ignore[attr-defined]
    assert error is None or isinstance(error, SystemExit), f"{kind}: {error!r}"
    assert code in (0, 1, 2)
    assert "Traceback" not in output
    assert "failed:" not in output, f"{kind}: {output}"
    assert not re.search(r"\w(Error|Exception|Warning)\b", output), f"{kind}: {output}"
    assert "nan" not in output.lower().replace("financ", "").replace("dominan", "")
    assert "inf " not in output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ONE)
def test_a_command_on_a_run_in_which_nothing_happened(made: dict[str, list[Path]], kind: str, command: str) -> None:
    said(kind, marginquake(command.split()[0], made[kind][0], *ONE[command]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["facts", "risk", "early-warning"])
def test_a_command_on_several_runs_in_which_nothing_happened(
    made: dict[str, list[Path]], kind: str, command: str
) -> None:
    said(kind, marginquake(command, *made[kind]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["first-passage", "compare"])
def test_a_command_on_a_scenario_in_which_nothing_happens(
    made: dict[str, list[Path]], kind: str, command: str, tmp_path: Path
) -> None:
    scenario = made[kind][0].parent.parent / "quiet.yaml"
    if command == "first-passage":
        said(kind, marginquake(command, scenario, "--leverage", "10", "--horizon", "10s", "--paths", 100))
        return
    other = scenario.with_name("other.yaml")
    other.write_text(scenario.read_text().replace("name: quiet", "name: other"))
    said(kind, marginquake(command, scenario, other, "--seeds", 2, "--workers", 1, "--out", tmp_path))
