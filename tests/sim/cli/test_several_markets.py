"""Of a run with several markets every command shows all of them, each under its name."""

import json
from pathlib import Path

import pytest

from marginquake.sim.runs import directory
from marginquake.sim.studies import run as running
from marginquake.sim.studies import sweep as sweeping
from tests.support.command_line import marginquake
from tests.support.paths import TESTS

pytestmark = pytest.mark.model
TWO = TESTS / "golden" / "two_markets.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    loaded = running.load_scenario(TWO, ["record.positions_every=5s"])
    return running.run(loaded, out=tmp_path_factory.mktemp("runs"), figures=False).path


def test_show_has_a_column_a_market(run: Path) -> None:
    shown = marginquake("show", run).stdout
    summary = directory.read_summary(run)
    _, heading, *rows = shown.splitlines()
    assert heading.split() == ["main", "b"]
    [calls] = [row for row in rows if row.startswith("Margin calls")]
    assert calls.split()[2:4] == [str(summary["margin_calls"]), str(summary["b.margin_calls"])]


def test_run_and_watch_print_the_same_table(tmp_path: Path) -> None:
    short = ("--set", "duration=1s", "--set", "warmup=1s", "--set", "index.shocks=[]")
    for command in (
        ("run", TWO, *short, "--no-figures", "--out", tmp_path),
        ("watch", TWO, *short, "--plain", "--save", "--no-figures", "--out", tmp_path / "saved"),
        ("watch", TWO, *short, "--plain"),
    ):
        shown = marginquake(*command).stdout.splitlines()
        assert ["main", "b"] in [line.split() for line in shown], command


def test_list_names_the_market_of_each_number(run: Path) -> None:
    summary = directory.read_summary(run)
    [line] = [row for row in marginquake("list", "runs", "--out", run.parent).stdout.splitlines() if "calls" in row]
    assert f"main: {summary['margin_calls']} margin calls" in line
    assert f"b: {summary['b.margin_calls']} margin calls" in line


def test_explain_and_clusters_go_through_all_markets(run: Path) -> None:
    told = marginquake("explain", run).stdout
    assert [line for line in told.splitlines() if line.startswith("Market ")] == ["Market main", "Market b"]
    assert "Market main" not in marginquake("explain", run, "--market", "b").stdout
    shown = marginquake("clusters", run).stdout
    assert [line.partition(":")[0] for line in shown.splitlines() if ": positions of" in line] == ["main", "b"]
    assert list(json.loads(marginquake("clusters", run, "--json").stdout)) == ["main", "b"]


def test_tables_of_several_markets_have_a_column_that_says_which(run: Path, tmp_path: Path) -> None:
    marginquake("clusters", run, "--csv", tmp_path / "c.csv")
    heading, *rows = (tmp_path / "c.csv").read_text().splitlines()
    assert heading.startswith("market,side,")
    assert {row.partition(",")[0] for row in rows} == {"main", "b"}
    marginquake("clusters", run, "--csv", tmp_path / "b.csv", "--market", "b")
    assert (tmp_path / "b.csv").read_text().startswith("side,")


def test_risk_and_early_warning_say_of_which_market(run: Path, tmp_path: Path) -> None:
    asked = ("risk", run, "--at", "0s", "--volatility", "60%", "--horizon", "5s", "--csv", tmp_path / "r.csv")
    told = marginquake(*asked)
    assert told.exit_code == 0, told.stderr
    assert "market main: Margin calls of" in told.stdout
    assert "market b: Margin calls of" in told.stdout
    heading, *rows = (tmp_path / "r.csv").read_text().splitlines()
    assert heading.startswith("market,")
    assert {row.partition(",")[0] for row in rows} == {"main", "b"}
    warned = marginquake("early-warning", run)
    assert warned.exit_code == 2
    assert warned.stderr.startswith("market main: ")


def test_facts_of_each_market_stand_under_its_name(run: Path, tmp_path: Path) -> None:
    told = marginquake("facts", run, "--csv", tmp_path / "f.csv")
    assert told.exit_code == 0, told.stderr
    assert [line.rstrip() for line in told.stdout.splitlines() if line.startswith("market ")] == [
        f"market {name}: {run.name}" for name in ("main", "b")
    ]
    heading, *rows = (tmp_path / "f.csv").read_text().splitlines()
    assert heading.startswith("market,")
    assert {row.partition(",")[0] for row in rows} == {"main", "b"}
    alone = marginquake("facts", run, "--market", "b")
    assert "market main" not in alone.stdout
    refused = marginquake("facts", run, "--figure", tmp_path / "f.png")
    assert (refused.exit_code, "say --market" in refused.stderr) == (2, True)


def test_comparisons_and_sweeps_name_the_market(tmp_path: Path) -> None:
    short = ["duration=2s", "warmup=1s"]
    found = sweeping.compare(TWO, "liquidation.enabled=false", seeds=2, overrides=short, out=tmp_path, workers=1)
    names = {finding.metric.short for pair in found.pairs for finding in pair.findings}
    assert {"main: largest fall", "b: largest fall", "main: margin calls", "b: margin calls"} <= names
    assert "largest fall" not in names
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"name: two\nscenario: {TWO}\nset: [duration=1s, warmup=1s]\nseeds: [1, 2]\n"
        "axes: {a: {path: populations.crowd.accounts, values: [50, 60]}}\n"
    )
    path = sweeping.sweep(file, tmp_path, workers=1).path
    page = marginquake("report", path)
    assert page.exit_code == 0, page.stderr
    assert "main: largest fall" in (path / "report.html").read_text()
