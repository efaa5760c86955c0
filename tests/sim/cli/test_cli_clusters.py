"""`marginquake clusters`: what it prints, and what it refuses."""

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.run_frames import load_run
from marginquake.analysis.levels import find_clusters, true_map
from marginquake.sim.cli.main import app
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.paths import TINY

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    overrides = ["fuel_ratio=2", "record.positions_every=4s", "index.shocks=[{at: 3s, log_return: -4%, over: 8s}]"]
    loaded = load_scenario(TINY, AGENT_TYPES, overrides)
    return running.run(loaded, out=tmp_path_factory.mktemp("runs"), figures=False).path


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["clusters", *arguments])
    return result.exit_code, result.output


def test_it_says_where_and_how_much(run: Path) -> None:
    code, text = invoke(str(run))
    assert code == 0
    for heading in ("Clusters of liquidation levels", "Ladder", "Open interest by entry", "outsider", "Forecast of"):
        assert heading in text
    largest = find_clusters(true_map(load_run(run).first))[0]
    assert re.search(rf"{'long' if largest.side > 0 else 'short'} .*{largest.price:,.0f}", text)
    _, longs = invoke(str(run), "--side", "long", "--at", "8s")
    assert "positions of 0:00:08" in longs
    assert not re.search(r"^(short|up) ", longs, re.MULTILINE)


def test_json_and_csv_hold_the_same_map(run: Path, tmp_path: Path) -> None:
    table = tmp_path / "map.csv"
    code, text = invoke(str(run), "--json", "--csv", str(table))
    assert code == 0
    plain = json.loads(text)
    truth = true_map(load_run(run).first)
    assert plain["clusters"][0]["mass"] == pytest.approx(find_clusters(truth)[0].mass)
    with table.open() as lines:
        rows = list(csv.DictReader(lines))
    for side, name in ((1, "long"), (-1, "short")):
        own = [row for row in rows if row["side"] == name]
        assert sum(float(row["true"]) for row in own) == pytest.approx(truth.mass(side))
        bands = [float(row[f"true {band.label}"]) for row in own for band in truth.bands]
        assert sum(bands) == pytest.approx(truth.mass(side))


def test_in_json_a_side_is_one_part_of_both(run: Path) -> None:
    both = json.loads(invoke(str(run), "--json")[1])
    longs, shorts = (json.loads(invoke(str(run), "--json", "--side", side)[1]) for side in ("long", "short"))
    for name in ("clusters", "ladder", "entry_peaks"):
        for plain, sign in ((longs, 1), (shorts, -1)):
            assert plain[name] == [each for each in both[name] if each["side"] == sign] != [], name
    assert [*longs["concentration"], *shorts["concentration"]] == list(both["concentration"])
    assert len(both["forecasts"]) == len(longs["forecasts"]) == len(shorts["forecasts"]) > 0
    for whole, long, short in zip(both["forecasts"], longs["forecasts"], shorts["forecasts"], strict=True):
        assert {each["side"] for each in long["outcomes"]} == {1}
        assert {each["side"] for each in short["outcomes"]} == {-1}
        assert len(long["outcomes"]) + len(short["outcomes"]) == len(whole["outcomes"])
        for name in ("realised", "called_before", "unforeseen", "fund_traded"):
            assert long[name] + short[name] == pytest.approx(whole[name]), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", "soon"), "--at soon: must be a duration"),
        (("--at", "1h"), "--at 1h: the run goes from 0s to 20s"),
        (("--market", "other"), "--market other: the run has main"),
        (("--csv", "/nowhere/map.csv"), "--csv /nowhere/map.csv: no folder /nowhere"),
    ],
)
def test_mistakes_get_one_message(run: Path, arguments: tuple[str, ...], message: str) -> None:
    code, text = invoke(str(run), *arguments)
    assert code == 2
    assert text.startswith(message)
    assert len(text.splitlines()) == 1


def test_a_run_without_events_knows_its_start_only(tmp_path: Path) -> None:
    loaded = load_scenario(TINY, AGENT_TYPES, ["record.events=none"])
    path = running.run(loaded, out=tmp_path, figures=False).path
    code, text = invoke(str(path))
    assert code == 0
    assert "Clusters of liquidation levels" in text
    assert "Forecast" not in text
    assert invoke(str(path), "--at", "5s") == (
        2,
        f"{path}: the run recorded no positions (record.events: none): only the start is known, --at 0s\n",
    )
