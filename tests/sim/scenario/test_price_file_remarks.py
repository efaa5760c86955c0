"""What a scenario says of its price file, keeps of it in the resolved file, and replays of it."""

from pathlib import Path

import pytest

from marginquake.analysis import load_run
from marginquake.sim.assets.price_path import ReplayConfig
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies import run as running
from tests.support.command_line import marginquake
from tests.support.paths import TINY

START_MS = 1_722_816_000_000
"""2024-08-05 00:00:00 UTC."""
CLOSES = [58_050.0, 57_010.0, 57_150.0, 56_000.0, 56_300.0]
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


def klines(closes: list[float], opened: float = 58_000.0) -> list[str]:
    """One-minute candles as data.binance.vision exports them: twelve columns, ms, no header."""
    opens = [opened, *closes]
    return [
        f"{START_MS + 60_000 * n},{o},{max(o, c) + 9},{min(o, c) - 9},{c},12.5,"
        f"{START_MS + 60_000 * n + 59_999},7e5,321,6.1,3.5e5,0\n"
        for n, (o, c) in enumerate(zip(opens, closes, strict=False))
    ]


def write(folder: Path, rows: list[str], duration: str = "5min", options: str = "") -> Path:
    (folder / "klines.csv").write_text("".join(rows))
    file = folder / "candles.yaml"
    file.write_text(
        f"extends: {TINY}\nduration: {duration}\nwarmup: 2s\n"
        "contract: {initial_price: 58000, tick_size: 0.1, lot_size: 0.001}\n"
        "index:\n  shocks: null\n  feedback: {enabled: false}\n"
        f"  fundamental: {{type: replay{options},\n    file: klines.csv}}\n"
    )
    return file


def remarks(folder: Path, rows: list[str], duration: str = "5min", options: str = "") -> list[str]:
    """Without place and field, which are checked."""
    loaded = running.load_scenario(write(folder, rows, duration, options))
    place = f"{folder / 'candles.yaml'}:9: index.fundamental.file: "
    warnings = [str(each).replace(": warning: ", ": ").removesuffix(" [price_file]") for each in loaded.found_reading]
    said = [*loaded.notes, *warnings]
    assert all(remark.startswith(place) for remark in said)
    return [remark.removeprefix(place).replace(f"{folder}/", "") for remark in said]


def replayed(loaded: Scenario) -> ReplayConfig:
    config = loaded.markets[0].index.fundamental
    assert isinstance(config, ReplayConfig)
    return config


@pytest.mark.model
def test_the_fundamental_of_a_run_is_that_of_the_export(tmp_path: Path) -> None:
    file = write(tmp_path, klines(CLOSES), options=", rescale: false")
    series = load_run(running.run(file, out=tmp_path / "runs", figures=False).path).first.series
    found = dict(zip(series["time_s"].tolist(), series["fundamental"].tolist(), strict=True))
    assert found[0.0] == pytest.approx(58_000.0)
    assert [found[60.0 * n] for n in range(1, 6)] == pytest.approx(CLOSES)


def test_span_and_points_are_said_and_nothing_else_of_a_sound_file(tmp_path: Path) -> None:
    assert remarks(tmp_path, klines(CLOSES)) == [
        "klines.csv: 6 points over 5min, 2024-08-05 00:00:00 to 2024-08-05 00:05:00 (5 candles of 1min, each close at "
        "the end of its candle; times in ms)"
    ]
    newest_first = [HEADER, *klines(CLOSES)[::-1]]
    assert "times in ms; newest first, so read from its end" in remarks(tmp_path, newest_first)[0]


@pytest.mark.model
@pytest.mark.parametrize("command", ["validate", "run"])
def test_validate_and_run_print_it(tmp_path: Path, command: str) -> None:
    options = ["--out", str(tmp_path), "--no-figures"] if command == "run" else []
    result = marginquake(command, write(tmp_path, klines(CLOSES), "1s"), *options)
    assert result.exit_code == 0
    assert "klines.csv: 6 points over 5min" in result.stderr
    assert result.stderr.startswith("note: ")


def test_missing_candles_are_said_with_the_line_of_the_longest_gap(tmp_path: Path) -> None:
    rows = klines([58_000.0 + n for n in range(30)])
    (_, gaps) = remarks(tmp_path, [HEADER, *rows[:5], *rows[6:10], *rows[14:]])
    assert gaps == (
        "klines.csv:10: 5 candles of 1min missing in 2 gaps; the longest (5min) begins after 2024-08-05 00:09:00; a "
        "bridge crosses them"
    )
    (_, one) = remarks(tmp_path, [*rows[:5], *rows[6:]])
    assert one.startswith("klines.csv:5: 1 candle of 1min missing in 1 gap; ")
    points = [f"2024-08-05 00:0{n}:00,{100 + n}\n" for n in (0, 1, 2, 5, 6, 7)]
    assert "2 rows of 1min missing in 1 gap" in remarks(tmp_path, ["time,price\n", *points])[1]


def test_gaps_before_the_start_are_not_said(tmp_path: Path) -> None:
    rows = klines([58_000.0 + n for n in range(30)])
    kept = [*rows[:5], *rows[8:]]
    assert len(remarks(tmp_path, kept)) == 2
    assert len(remarks(tmp_path, kept, options=", start: 2024-08-05T00:10:00Z")) == 1


def test_times_that_are_probably_in_another_unit_are_said(tmp_path: Path) -> None:
    rows = ["time,price\n", *(f"{60_000 * n},{100 + n}\n" for n in range(10))]
    (held, sparse) = remarks(tmp_path, rows)
    assert "10 points over 6d 6h, 0s to 540000s (times in s)" in held
    assert sparse == (
        "no point of the path but the first lies within the run: the next comes after 16h 40min; times are read as s: "
        "time_unit names another unit"
    )
    assert len(remarks(tmp_path, rows, options=", time_unit: ms")) == 1
    (_, odd) = remarks(tmp_path, klines(CLOSES), "100ms", options=", time_unit: us")
    assert odd == "time 1722816000000 is read as us, as `time_unit` says; by its size it is ms"


def test_a_unit_that_changes_in_the_file_is_said_with_its_line(tmp_path: Path) -> None:
    rows = klines(CLOSES)
    rows[3:] = [row.replace("000,", "000000,", 1) for row in rows[3:]]
    assert "klines.csv:4: times change their unit here; each is read by its size" in remarks(tmp_path, rows)


def test_a_close_at_the_beginning_of_its_candle_is_said(tmp_path: Path) -> None:
    rows = [HEADER, *klines(CLOSES)]
    (_, ahead) = remarks(tmp_path, rows, "4min", ", time_column: open_time, price_column: close")
    assert ahead.startswith("close acts at open_time, before it was known; ")
    assert len(remarks(tmp_path, rows, "4min", ", time_column: close_time, price_column: close")) == 1
    assert len(remarks(tmp_path, rows, "4min", ", time_column: open_time, price_column: open")) == 1


def test_the_resolved_scenario_keeps_unit_span_points_and_content(tmp_path: Path) -> None:
    loaded = running.load_scenario(write(tmp_path, klines(CLOSES)))
    config = replayed(loaded)
    assert (config.format, config.time_unit, config.points, config.span) == ("candles", "ms", 6, 300 * 10**9)
    assert len(config.sha256 or "") == 64
    again = tmp_path / "again.yaml"
    again.write_text(loaded.resolved_yaml())
    assert "span: 5min" in again.read_text() or "span: 300s" in again.read_text()
    assert running.load_scenario(again) == loaded
    assert running.load_scenario(again).digest("1") == loaded.digest("1") == loaded.digest_as_read("1")
    (tmp_path / "klines.csv").write_text("".join(klines(CLOSES)[::-1]))
    with pytest.raises(ScenarioError, match=r"again.yaml:\d+: index.fundamental.sha256: .*klines.csv has changed"):
        running.load_scenario(again)


def test_what_was_judged_and_what_was_named_is_one_scenario(tmp_path: Path) -> None:
    judged = running.load_scenario(write(tmp_path, klines(CLOSES)))
    named = running.load_scenario(write(tmp_path, klines(CLOSES), options=", format: candles, time_unit: ms"))
    alias = running.load_scenario(write(tmp_path, klines(CLOSES), options=", format: ms"))
    assert judged.markets == named.markets == alias.markets


@pytest.mark.parametrize("divisor", [1, 1000])
def test_a_path_shorter_than_the_run_is_refused_with_both_lengths(tmp_path: Path, divisor: int) -> None:
    rows = [f"{(START_MS + 60_000 * n) // divisor},{100 + n}\n" for n in range(5)]
    with pytest.raises(ScenarioError) as caught:
        running.load_scenario(write(tmp_path, ["time,price\n", *rows], "1h"))
    (problem,) = caught.value.problems
    assert problem.path == "duration"
    assert problem.place.line == 2
    said = "the run lasts 1h after its warm-up, the 5 points of the file 4min; shorten the run, take a longer file"
    assert said in problem.message


def test_a_start_as_a_number_needs_no_quotes(tmp_path: Path) -> None:
    file = write(tmp_path, klines(CLOSES), "4min", f", start: {START_MS + 60_000}")
    assert replayed(running.load_scenario(file)).span == 240 * 10**9
