"""Warnings on the command line: `validate`, `run`, `--strict`, and the commands over many runs."""

import json
from html import unescape
from pathlib import Path

import pytest

from tests.support.command_line import marginquake
from tests.support.paths import TINY, UNLIKELY_SCENARIOS
from tests.support.unlikely import MEASURED, UNLIKELY, expected, overrides_of, unmet_and_surplus

USUAL = UNLIKELY_SCENARIOS / "bases" / "usual.yaml"


def sets_of(path: Path) -> list[str]:
    return [part for override in overrides_of(path) for part in ("--set", override)]


@pytest.mark.parametrize("path", UNLIKELY, ids=lambda path: path.stem)
def test_validate_says_it_and_strict_refuses_it(path: Path) -> None:
    wanted = expected(path, "warn")
    said = marginquake("validate", path, "--no-rehearsal", *sets_of(path))
    assert said.exit_code == 0
    assert said.stdout == f"{path}: ok\n"
    lines = [line for line in said.stderr.splitlines() if not line.startswith("note: ")]
    assert unmet_and_surplus(wanted, lines) == ([], [])
    strict = marginquake("validate", path, "--no-rehearsal", "--strict", *sets_of(path))
    assert strict.exit_code == (2 if wanted else 0)


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_validate_says_what_a_rehearsal_measures(path: Path) -> None:
    said = marginquake("validate", path, "--strict")
    assert said.exit_code == 2
    wanted = [*expected(path, "warn"), *expected(path, "measured")]
    lines = [line for line in said.stderr.splitlines() if ": warning: " in line]
    assert unmet_and_surplus(wanted, lines) == ([], [])


def test_a_likely_scenario_passes_strictly(tmp_path: Path) -> None:
    result = marginquake("validate", USUAL, "--strict")
    assert (result.exit_code, result.stderr) == (0, "")
    run = marginquake("run", USUAL, "--strict", "--quiet", "--no-figures", "--set", "duration=5s", "--out", tmp_path)
    assert (run.exit_code, run.stderr) == (0, "")


def test_run_says_it_keeps_it_and_shows_it(tmp_path: Path) -> None:
    shock = "index.shocks=[{at: 2s, log_return: -1, over: 3s}]"
    result = marginquake("run", USUAL, "--set", "duration=8s", "--set", shock, "--out", tmp_path)
    assert result.exit_code == 0
    run = Path(result.stdout.splitlines()[-1])
    kept = json.loads((run / "manifest.json").read_text())["warnings"]
    assert [each["name"] for each in kept] == ["implausible_shock", "liquidated_at_once"]
    assert (kept[0]["file"], kept[0]["line"]) == (f"--set {shock}", 0)
    assert kept[1]["line"] == 12
    for each in kept:
        assert result.stderr.count(each["text"]) == 1
        assert each["message"] in unescape((run / "report.html").read_text())


def test_run_strictly_simulates_nothing_of_what_is_known_before(tmp_path: Path) -> None:
    result = marginquake(
        "run", USUAL, "--strict", "--set", "index.shocks=[{at: 9min, log_return: -1%}]", "--out", tmp_path
    )
    assert result.exit_code == 2
    assert "it never comes" in result.stderr
    assert "--strict: 1 warning; nothing was simulated" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_run_strictly_is_complete_where_only_the_run_could_tell(tmp_path: Path) -> None:
    options = ("--quiet", "--no-figures", "--out", tmp_path)
    path = UNLIKELY_SCENARIOS / "measured_liquidated_at_once.yaml"
    result = marginquake("run", path, "--strict", *options)
    assert result.exit_code == 2
    assert "[liquidated_at_once]" in result.stderr
    assert "--strict: 1 warning; the run is complete" in result.stderr
    run = Path(result.stdout.splitlines()[-1])
    assert (run / "manifest.json").is_file()
    again = marginquake("run", path, "--strict", "--reuse", *options)
    assert again.exit_code == 2
    assert marginquake("run", path, "--reuse", *options).exit_code == 0


def test_quiet_says_nothing_but_where_the_run_is(tmp_path: Path) -> None:
    path = UNLIKELY_SCENARIOS / "measured_liquidated_at_once.yaml"
    result = marginquake("run", path, "--quiet", "--no-figures", "--out", tmp_path, "--set", "meant=[]")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


def test_a_note_says_that_the_ladder_was_widened() -> None:
    result = marginquake("validate", USUAL, "--no-rehearsal", "--set", "index.shocks=[{at: 2s, log_return: 90%}]")
    assert "note: main: the ladder of prices ends at 3.1 times initial_price (310,000) instead of 2" in result.stderr


def test_a_comparison_says_each_warning_once(tmp_path: Path) -> None:
    late = "index.shocks=[{at: 9min, log_return: -1%}]"
    options = ("--seeds", 2, "--set", "duration=2s", "--out", tmp_path, "--workers", 1)
    result = marginquake("compare", TINY, "venue.mark.rule=last", "--set", late, *options)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("it never comes") == 1


def test_a_sweep_says_at_how_many_points(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(
        f"scenario: {TINY}\naxes:\n  leverage: {{path: populations.crowd.leverage, values: [20, 200]}}\nseeds: 2\n"
    )
    result = marginquake("sweep", file, "--dry-run", "--out", tmp_path)
    assert result.exit_code == 0
    assert result.stderr.count("are cut to it") == 1
    assert "[leverage_cut] (at 1 of 2 points)" in result.stderr
    assert marginquake("sweep", file, "--dry-run", "--quiet", "--out", tmp_path).stderr == ""


def test_nothing_is_rehearsed_while_a_file_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("duration: 1\n")
    result = marginquake("validate", UNLIKELY_SCENARIOS / "measured_depth.yaml", bad)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_an_engine_that_is_not_compiled_is_said_not_to_rehearse(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    result = marginquake("validate", USUAL, "--strict")
    assert result.exit_code == 0
    assert "not rehearsed: kernels are not compiled (NUMBA_DISABLE_JIT); `run` measures the same" in result.stderr
