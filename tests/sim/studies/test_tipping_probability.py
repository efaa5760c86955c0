"""Facts about `tipping` at any probability: units, the plan, and a made-up market whose truth is known."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.studies import tipping as module
from marginquake.sim.studies.design import EventConfig, read_outcome
from marginquake.sim.studies.quantity import Range, read_range
from marginquake.sim.studies.tipping import TippingPoint, TippingQuestion, find_tipping_point, plan_probes, settle
from tests.support import sweep_jobs
from tests.support.command_line import marginquake
from tests.support.paths import TINY
from tests.support.sweep_jobs import CENTRE, SPREAD, fund_needed

FUND = "venue.insurance.initial"


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_farm", sweep_jobs.a_market_made_up)


def question(
    parameter: str = FUND, low: str = "100k", high: str = "20M", outcome: str = "adl_notional>0", **more: Any
) -> TippingQuestion:
    log_scale = more.pop("log_scale", False)
    ends = read_range(low, high, log_scale)
    usual: dict[str, Any] = {"tolerance": 0.1, "most_seeds": None, "overrides": (), "probability": 0.05}
    return TippingQuestion(
        name="asked", scenario=TINY, parameter=parameter, low=ends.low, high=ends.high, log_scale=log_scale,
        event=read_outcome(outcome), range_=ends, **usual | more,
    )  # fmt: skip


def search(tmp_path: Path, asked: TippingQuestion) -> TippingPoint:
    return find_tipping_point(asked, tmp_path, 1)


# ---- ranges and outcomes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected", "middle", "shown"),
    [
        ("100k", "20M", Range(1e5, 2e7, kind="amount"), "10050000", "10.05M"),
        ("8", "50", Range(8.0, 50.0), "29", "29"),
        ("1%", "5%", Range(0.01, 0.05, kind="share"), "0.03", "3 %"),
        ("10bps", "0.5", Range(0.001, 0.5, kind="share"), "0.2505", "25.05 %"),
        ("500ms", "2s", Range(0.5, 2.0, kind="duration"), "1250ms", "1.25 s"),
        ("0", "1min", Range(0.0, 60.0, kind="duration"), "30s", "30 s"),
        ("5x", "50x", Range(5.0, 50.0, kind="leverage"), "27.5", "27.5x"),
        ("-5%", "5%", Range(-0.05, 0.05, kind="share"), "0", "0 %"),
    ],
)
def test_a_range_is_read_with_its_units(low: str, high: str, expected: Range, middle: str, shown: str) -> None:
    found = read_range(low, high)
    assert found == expected
    assert found.written(found.value(0.5)) == middle
    assert found.shown(found.value(0.5)) == shown
    assert found.place(found.value(0.25)) == pytest.approx(0.25)


def test_on_a_log_scale_the_middle_is_the_geometric_mean() -> None:
    found = read_range("100k", "10M", log_scale=True)
    assert found.written(found.value(0.5)) == "1000000"
    assert found.place(1e6) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (("5", "3"), "must rise"),
        (("1s", "5M"), "one end is a duration, the other an amount"),
        (("1", "5s"), "both ends of a range of durations need a unit"),
        (("much", "more"), "much: write a number, an amount"),
        (("5mx", "9x"), "write a leverage as 20 or 20x"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(ends: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_range(*ends)
    done = marginquake("tipping", TINY, "--parameter", FUND, "--between", *ends)
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    assert done.stderr.startswith(f"--between {' '.join(ends)}: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("adl_notional>0", EventConfig(metric="adl_notional", above=0.0)),
        (" bad_debt > 1.5M ", EventConfig(metric="bad_debt", above=1.5e6)),
        ("max_drawdown_fraction>2.5%", EventConfig(metric="max_drawdown_fraction", above=0.025)),
        ("insurance_fund_end<1M", EventConfig(metric="insurance_fund_end", below=1e6)),
        ("index_feedback_enabled", EventConfig(metric="index_feedback_enabled", above=0.0)),
        ("paused_seconds>1min", EventConfig(metric="paused_seconds", above=60.0)),
    ],
)
def test_an_outcome_is_a_metric_and_a_threshold(text: str, expected: EventConfig) -> None:
    assert read_outcome(text) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--outcome", "adl_fills>0"), "--outcome adl_fills: no number of summary.json; "),
        (("--outcome", "bad_dept>0"), "did you mean 'bad_debt'?"),
        (("--outcome", "bad_debt>=5"), "only > and < are known"),
        (("--outcome", "bad_debt>much"), "'much' is no number"),
        (("--outcome", ">5"), "write a metric of summary.json and a threshold"),
        (("--outcome", "bad_debt>5", "--above", "3"), "write one or the other"),
        (("--metric", "bad_dept"), "--metric bad_dept: no number of summary.json; did you mean 'bad_debt'?"),
        (("--above", "x"), "--above x: is no number"),
        (("--probability", "5"), "--probability 5: must be above 0 and below 1; write 5% or 0.05"),
        (("--probability", "0%"), "must be above 0 and below 1"),
        (("--probability", "often"), "--probability often: must be a fraction"),
        (("--within", "200%"), "--within 200%: must be above 0 and below 1"),
        (("--probability", "5%", "--seeds", "40"), "even 0 of 40 runs leaves up to 8.81 %; 72 seeds or more"),
    ],
    ids=lambda item: item if isinstance(item, str) else " ".join(item),
)
def test_what_cannot_be_asked_is_refused_before_anything_runs(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    usual = ("--parameter", FUND, "--between", "100k", "20M", "--out", tmp_path)
    done = marginquake("tipping", TINY, *usual, *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("parameter", "ends", "message"),
    [
        ("seed", ("1", "9"), "--parameter seed: every value is tried on the same seeds"),
        ("name", ("1", "9"), "nothing that happens depends on it"),
        ("liquidation.slice_fraction", ("10%", "90%"), "the scenario is the same at both ends"),
        ("venue.insurance.inital", ("100k", "20M"), "venue.insurance.inital"),
        ("depth_1pct", ("-1M", "1M"), "must be greater than 0"),
        ("populations.nobody.leverage", ("5", "10"), "there is no population 'nobody'"),
    ],
)
def test_a_parameter_that_decides_nothing_is_refused(parameter: str, ends: tuple[str, str], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        settle(question(parameter, *ends))


def test_values_between_are_whole_numbers_or_steps_where_the_field_takes_no_others() -> None:
    accounts = settle(question("populations.crowd.accounts", "10", "100"))
    assert accounts.range.grid == 1.0
    assert accounts.point(0, 0.4372).overrides == ("populations.crowd.accounts=49",)
    period = settle(question("liquidation.monitor_period", "500ms", "5s"))
    assert period.range.grid == pytest.approx(0.1)
    assert period.point(0, 0.4372).overrides == ("liquidation.monitor_period=2500ms",)
    latency = settle(question("liquidation.latency", "5ms", "500ms"))
    assert latency.range.grid == 0.0
    assert latency.point(0, 0.4372).overrides == ("liquidation.latency=221400us",)
    assert settle(question(FUND)).range.grid == 0.0


# ---- the plan -------------------------------------------------------------------------------------------------------


def test_the_plan_says_how_many_runs_the_interval_asked_for_will_take(tmp_path: Path) -> None:
    wide, narrow = (plan_probes(question(within=within)) for within in (0.05, 0.02))
    assert wide.seeds == 94
    assert narrow.seeds > 4 * wide.seeds
    assert narrow.half_width <= 0.02
    assert wide.seeds < wide.likely[0] <= wide.likely[1] <= wide.most
    assert plan_probes(question(most_seeds=80)).seeds == 80
    usual = ("--parameter", FUND, "--between", "100k", "20M", "--out", tmp_path, "--dry-run")
    done = marginquake("tipping", TINY, *usual, "--probability", "5%", "--within", "5%")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("plan: 94 seeds at a value (then 5 % is known to +- 5 points)")
    assert f"at most {wide.most:,}" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert "not known before" in marginquake("tipping", TINY, *usual).stdout


def test_a_share_is_one_half_unless_asked_otherwise() -> None:
    asked = question(probability=0.5)
    assert asked.bisects
    assert not replace(asked, within=0.1).bisects
    assert not replace(asked, probability=0.05).bisects
    with pytest.raises(ValueError, match="must be above 0 and below 1"):
        replace(asked, probability=1.0)


# ---- a made-up market whose truth is known --------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.95])
def test_the_fund_that_is_needed_is_found_and_nothing_is_run_twice(tmp_path: Path, probability: float) -> None:
    asked = question(
        probability=probability, within=min(0.1, probability, 1 - probability), log_scale=True, tolerance=0.2
    )
    found = search(tmp_path, asked)
    truth = CENTRE * math.exp(SPREAD * math.log((1 - probability) / probability))
    assert found.point.low <= truth <= found.point.high
    assert found.point.low <= found.point.value <= found.point.high
    for each in found.tried:
        assert each.events == sum(fund_needed(seed) > each.value for seed in range(1, each.runs + 1))
    facts = json.loads((found.path / "tipping.json").read_text())
    assert facts["interval"] == [found.point.low, found.point.high]
    assert [(probe["value"], probe["runs"]) for probe in facts["probes"]] == [(t.value, t.runs) for t in found.tried]
    assert facts["probability"] == probability
    assert facts["rising"] is False
    assert facts["interval_of_shares"] == "Clopper-Pearson 95 %"
    assert facts["event"] == {"metric": "adl_notional", "above": 0.0}
    assert {"estimate", "seeds", "contrary_seeds", "runs", "narrow_enough", "thresholds"} <= facts.keys()
    assert (facts["contrary_seeds"], facts["runs"]) == (0, sum(each.runs for each in found.tried))
    assert (found.path / "figures" / "tipping.png").stat().st_size > 10_000
    made = {path: path.stat().st_mtime_ns for path in found.path.glob("points/*/manifest.json")}
    assert len(made) == found.runs
    assert math.isnan(found.predicted)
    again = replace(search(tmp_path, asked), path=found.path)
    assert replace(again, predicted=0.0) == replace(found, predicted=0.0)  # nan is equal to nothing
    assert {path: path.stat().st_mtime_ns for path in found.path.glob("points/*/manifest.json")} == made


def test_one_half_by_thresholds_gives_the_same_keys_and_every_value_tried(tmp_path: Path) -> None:
    found = search(tmp_path, question(probability=0.5, log_scale=True, tolerance=0.2))
    assert found.point.low <= CENTRE <= found.point.high
    facts = json.loads((found.path / "tipping.json").read_text())
    keys = list(facts)
    for key in ("parameter", "between", "estimate", "interval", "seeds", "contrary_seeds", "runs", "narrow_enough",
                "event", "feedback_number_is_1_at", "thresholds"):  # fmt: skip
        assert key in keys
    assert len(facts["thresholds"]) == facts["seeds"]
    assert facts["interval_of_shares"] == "Wilson 95 %"
    shares = [probe["share"] for probe in facts["probes"]]
    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[-1]) == (1.0, 0.0)


def test_a_range_that_ends_too_early_says_which_end_to_move(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"at 2.5M still .* % \[.*, .*\] \(\d+ of \d+ runs\): raise the end"):
        search(tmp_path, question(high="2500k"))
    with pytest.raises(RunDirectoryError, match=r"at both ends only 0 % \[0, 3.8\] \(0 of 94 runs\): widen --b"):
        search(tmp_path / "calm", question(low="10M", high="30M"))


def test_an_outcome_below_a_threshold_counts(tmp_path: Path) -> None:
    found = search(tmp_path, question(outcome="insurance_fund_end<1M", probability=0.5, within=0.2, high="5M"))
    for each in found.tried:
        needed = [fund_needed(seed) for seed in range(1, each.runs + 1)]
        assert each.events == sum(each.value - max(0.0, need - each.value) < 1e6 for need in needed)


def test_the_table_shows_every_value_with_its_interval(tmp_path: Path) -> None:
    usual = ("--parameter", FUND, "--between", "100k", "20M", "--log", "--outcome", "adl_notional>0", "--workers", "1")
    done = marginquake("tipping", TINY, *usual, "--probability", "5%", "--tolerance", "0.2", "--out", tmp_path)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("plan: 94 seeds at a value")
    assert "Clopper-Pearson" in done.stdout
    assert any("12/12" in line and "100.0 %" in line and "above" in line for line in lines)
    assert any("0/94" in line and "[0.0, 3.8]" in line and "below" in line for line in lines)
    assert f"{FUND}: 5 % of runs at " in done.stdout
    assert Path(lines[-1]).name == "tiny-tipping-venue_insurance_initial-at-5pct"
    quiet = marginquake(
        "tipping", TINY, *usual, "--probability", "5%", "--tolerance", "0.2", "--out", tmp_path, "--quiet"
    )
    assert quiet.stdout.splitlines() == [lines[-1]]
