"""A scenario whose every free text is bait, and a run of somebody else's that is full of it, through every command.

Looked at is what comes out at each edge: bytes for a terminal, cells of CSV files, pages, pictures, command lines.
"""

import json
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner, Result

from marginquake.sim.cli import main
from tests.support.faults.seals import seal_run
from tests.support.hostile import BAIT, NAME, assert_harmless, assert_no_formula, assert_page_is_ours
from tests.support.paths import TINY
from tests.support.synthetic_run import MARKET, write_synthetic_run
from tests.support.synthetic_sweep import axis, grid, summary, write_sweep


def harmless(*arguments: object, code: int | None = 0, env: dict[str, str] | None = None) -> Result:
    """One command; whatever it says does no harm, and it ends well."""
    done = CliRunner(env=env).invoke(main.app, [str(argument) for argument in arguments])
    colours = env is not None
    assert_harmless(done.stdout, colours)
    assert_harmless(done.stderr, colours)
    assert "Traceback" not in done.stderr
    assert "Glyph" not in done.stderr
    assert code is None or done.exit_code == code, done.stderr
    return done


# -- a scenario of one's own -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a hostile name with a scenario in it, all bait, and an account book with ids of bait."""
    folder = tmp_path_factory.mktemp("hostile") / NAME[:80]
    folder.mkdir()
    scenario = yaml.safe_load(TINY.read_text())
    scenario["question"] = BAIT
    scenario["duration"], scenario["warmup"] = "8s", "2s"
    scenario["populations"]["mine"] = {
        "type": "retail",
        "accounts": {"file": f"{NAME[:60]}.csv", "columns": {"id": "name"}},
    }
    rows = "".join(f'"{BAIT.replace(chr(34), chr(34) * 2)} {k}",long,{80 + k},100,100000\n' for k in range(6))
    (folder / f"{NAME[:60]}.csv").write_text(f"name,side,leverage,collateral,entry_price\n{rows}")
    (folder / f"{NAME[:60]}.yaml").write_text(yaml.safe_dump(scenario))
    return folder


@pytest.fixture(scope="module")
def own_run(folder: Path) -> Path:
    out = folder / "runs"
    done = harmless("run", folder / f"{NAME[:60]}.yaml", "--out", out, "--name", "bait")
    assert (out / "bait" / "report.html").is_file()
    assert len(list((out / "bait" / "figures").glob("*.png"))) >= 8
    assert "left out" not in done.stderr
    return out / "bait"


pytestmark = pytest.mark.model


def test_pages_and_pictures_of_a_run_of_bait_are_ours(own_run: Path) -> None:
    assert_page_is_ours(own_run / "report.html")


def test_a_scenario_of_bait_comes_back_as_it_was(own_run: Path) -> None:
    resolved = yaml.safe_load((own_run / "scenario.resolved.yaml").read_text())
    assert resolved["question"] == BAIT


@pytest.mark.parametrize(
    "command",
    [
        ("show",), ("report",), ("plot",), ("plot", "price"), ("explain",), ("explain", "nothing"), ("facts",),
        ("clusters",), ("liquidations", "--accounts"), ("replay",),
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("coloured", [False, True], ids=["piped", "coloured"])
def test_no_command_lets_bait_reach_the_terminal(own_run: Path, command: Sequence[str], coloured: bool) -> None:
    if coloured and command[0] in ("replay", "report", "plot"):
        pytest.skip("says nothing in colour")
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "200"} if coloured else None
    harmless(command[0], own_run, *command[1:], code=None, env=env)


def test_no_cell_of_a_table_of_a_run_of_bait_is_computed(own_run: Path, tmp_path: Path) -> None:
    tables = {name: tmp_path / f"{name}.csv" for name in ("facts", "clusters", "liquidations", "risk", "ids", "events")}
    harmless("facts", own_run, "--csv", tables["facts"])
    harmless("clusters", own_run, "--csv", tables["clusters"])
    harmless("liquidations", own_run, "--csv", tables["liquidations"])
    harmless("risk", own_run, "--csv", tables["risk"], "--accounts", tables["ids"], code=None)
    harmless("export", own_run, "--events", tables["events"])
    for path in tables.values():
        if path.exists():
            assert_no_formula(path.read_text())
    assert {"facts", "clusters", "liquidations", "events"} <= {path.stem for path in tables.values() if path.exists()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "{scenario}"), ("validate", f"{NAME[:40]}.yaml"), ("validate", BAIT), ("run", BAIT),
        ("show", BAIT),
        ("run", "{scenario}", "--set", f"{BAIT}={BAIT}"), ("run", "{scenario}", "--set", f"question.x={BAIT}"),
        ("run", "{scenario}", "--set", f"populations.mine.type={BAIT}"),
        ("run", "{scenario}", "--set", f"populations.{BAIT}.type=retail"),
        ("run", "{scenario}", "--name", BAIT), ("run", "{scenario}", "--checkpoint-every", BAIT),
        ("run", "{scenario}", "--log-file", BAIT), ("sweep", BAIT), ("compare", "{scenario}", BAIT), ("list", BAIT),
        ("plot", "{run}", BAIT), ("plot", "{run}", "--metric", BAIT), ("explain", "{run}", "--market", BAIT),
        ("tipping", "{scenario}", "--outcome", BAIT), ("export", "{run}", "--events", f"{NAME}.csv", "--date", BAIT),
        ("facts", "{run}", "--against", BAIT), ("clusters", "{run}", "--at", BAIT), ("new", f"{BAIT}.yaml"),
        ("clean", BAIT), (BAIT,), ("run", f"--{BAIT}"), ("run", "--seed", BAIT),
    ],
    ids=lambda arguments: ascii(" ".join(arguments).replace(BAIT, "BAIT").replace(NAME[:40], "NAME")),
)  # fmt: skip
def test_no_error_lets_bait_reach_the_terminal(own_run: Path, folder: Path, arguments: Sequence[str]) -> None:
    filled = [
        str(folder / f"{NAME[:60]}.yaml") if each == "{scenario}" else str(own_run) if each == "{run}" else each
        for each in arguments
    ]
    harmless(*filled, code=None if arguments[0] == "validate" else 2)


def test_command_lines_that_are_told_can_be_pasted(own_run: Path, tmp_path: Path) -> None:
    name = "a $(id) `id` 'b'; & c"
    shutil.copytree(own_run, tmp_path / name)
    told = " ".join(harmless("explain", tmp_path / name).stdout.split())
    assert f"`marginquake counterfactual {shlex.quote(name)} --without liquidation`" in told
    shown = next(line for line in harmless("show", own_run).stdout.splitlines() if line.startswith("command"))
    assert shlex.split(shown)


def test_a_list_of_runs_shows_bait_and_does_not_obey_it(own_run: Path) -> None:
    harmless("list", "runs", "--out", own_run.parent)


# -- sweeps ------------------------------------------------------------------------------------------------------------


def test_a_sweep_of_bait_is_drawn_and_reported(tmp_path: Path) -> None:
    axes = [axis("a" + BAIT, BAIT), axis("b", BAIT)]
    points = grid({"a" + BAIT: [1.0, 2.0, 3.0], "b": [BAIT, f"{BAIT} 2"]})
    path = write_sweep(
        tmp_path / "sweep", axes, points, lambda values, seed: summary(0.01 * seed, seed > 5), name=BAIT,
        failures=[{"point": 0, "seed": 1, "run": BAIT, "error": BAIT}],
    )  # fmt: skip
    drawn = harmless("plot", path).stdout.splitlines()
    assert all(Path(line).stat().st_size > 1000 for line in drawn)
    assert drawn
    assert_page_is_ours(Path(harmless("report", path).stdout.splitlines()[-1]))


def test_a_sweep_file_of_bait_is_planned(folder: Path) -> None:
    sweep = {
        "question": BAIT,
        "scenario": f"{NAME[:60]}.yaml",
        "axes": {BAIT: {"path": "populations.crowd.leverage", "values": [20, 80], "label": BAIT}},
        "seeds": 1,
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    harmless("sweep", folder / "sweep.yaml", "--dry-run", "--out", folder / "runs")
    harmless(
        "sweep",
        folder / "sweep.yaml",
        "--dry-run",
        "--out",
        folder / "runs",
        env={"FORCE_COLOR": "1", "COLUMNS": "120"},
    )


# -- a run of somebody else's ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose populations, names and manifest are bait."""
    path = write_synthetic_run(tmp_path_factory.mktemp("foreign") / "run")
    market = "evil"  # others are refused (tests/whole/test_foreign_runs.py)
    for file in path.rglob("*.parquet"):
        table = pq.read_table(file)
        for name in ("market", "population"):
            if name in table.column_names:
                texts = [
                    market if name == "market" else f"{BAIT} {each}" if str(each).startswith("retail") else each
                    for each in table.column(name).to_pylist()
                ]
                table = table.set_column(table.column_names.index(name), name, pa.array(texts))
        pq.write_table(table, file)
    for file in (path / "events").iterdir():
        file.rename(file.with_name(file.name.replace(MARKET, market)))
    maps = dict(np.load(path / "liquidation_map.npz"))
    maps = {key.replace(MARKET, market): value for key, value in maps.items()} | {"markets": np.array([market])}
    np.savez_compressed(path / "liquidation_map.npz", **maps)
    resolved = yaml.safe_load((path / "scenario.resolved.yaml").read_text())
    resolved["name"], resolved["question"] = BAIT, BAIT
    resolved["markets"] = {market: resolved["markets"][MARKET]}
    (path / "scenario.resolved.yaml").write_text(yaml.safe_dump(resolved))
    (path / "scenario.yaml").write_text(f"# {BAIT}\nname: x\n")
    for name in ("manifest.json", "summary.json"):
        content = json.loads((path / name).read_text())
        content |= {"name": BAIT, "scenario": BAIT, "market": market} if name == "summary.json" else {}
        if name == "manifest.json":
            content |= {"command": ["marginquake", BAIT], "overrides": [BAIT], "git_commit": BAIT, "left_out": [BAIT]}
            content |= {"created_utc": BAIT, "software_version": BAIT, "packages": {BAIT: BAIT}, "warnings": []}
        (path / name).write_text(json.dumps(content))
    seal_run(path)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("show",), ("report",), ("plot",), ("explain",), ("facts",), ("clusters",), ("clusters", "--json"),
        ("liquidations",), ("liquidations", "--accounts"), ("liquidations", "--json"), ("risk",), ("replay",),
        ("counterfactual",), ("export", "--events", "{file}.csv"), ("clusters", "--csv", "{file}.csv"),
        ("liquidations", "--csv", "{file}.csv"), ("facts", "--csv", "{file}.csv"),
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("coloured", [False, True], ids=["piped", "coloured"])
def test_no_command_lets_a_foreign_run_reach_the_terminal(
    foreign: Path, tmp_path: Path, command: Sequence[str], coloured: bool
) -> None:
    if coloured and command[0] in ("plot", "export", "replay", "counterfactual", "report"):
        pytest.skip("says nothing in colour")
    table = tmp_path / "table.csv"
    arguments = [part.replace("{file}.csv", str(table)) for part in command[1:]]
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "200"} if coloured else None
    done = harmless(command[0], foreign, *arguments, code=None, env=env)
    if table.exists():
        assert_no_formula(table.read_text())
    if command == ("report",):
        assert_page_is_ours(foreign / "report.html")
    if command[0] in ("show", "report", "plot", "explain", "clusters"):
        assert done.exit_code == 0, done.stderr
    assert os.listdir(foreign.parent) == ["run"]
