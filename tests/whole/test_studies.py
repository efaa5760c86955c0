"""What `make validate` does with outcomes: sections, intervals, matching of fuel, leverage around a fall."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import validate
from benchmarks.studies import ablations, dispersion, stress
from benchmarks.studies.runs import Section
from benchmarks.studies.tables import shown
from marginquake.analysis.statistics.intervals import bootstrap


def test_one_studys_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "validation.md"
    path.write_text("an older document without marks\n")
    validate.write("crash", Section("first crash", True), path, "one run")
    validate.write("calm", Section("calm", True), path, "one run")
    validate.write("crash", Section("second crash", True), path, "one run")
    sections = validate.sections_of(path.read_text())
    assert list(sections) == ["calm", "crash"]
    assert "second crash" in sections["crash"]
    assert "first crash" not in path.read_text()


def test_every_study_names_jobs_of_scenarios_that_exist() -> None:
    from benchmarks.studies.runs import MEASURES, SCENARIOS, Scale

    scale = Scale((1, 2), (1,))
    for study in validate.STUDIES.values():
        for job in study.jobs(scale):
            assert (SCENARIOS / job.scenario).is_file()
            assert job.keep in MEASURES


def test_every_ablation_can_be_loaded_and_changes_something() -> None:
    from marginquake.sim.studies import run as running

    path = ablations.SCENARIO
    from benchmarks.studies.runs import SCENARIOS

    whole = running.load_scenario(SCENARIOS / path, ()).resolved()
    for ablation in ablations.ABLATIONS:
        assert running.load_scenario(SCENARIOS / path, ablation.overrides).resolved() != whole, ablation.name


def test_bootstrap_interval_holds_the_mean_and_narrows_with_seeds() -> None:
    draws = np.random.default_rng(5).normal(2.0, 1.0, 400)
    estimate, low, high = bootstrap(draws.tolist(), "mean")
    assert low < estimate < high
    assert estimate == pytest.approx(draws.mean())
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    few = bootstrap(draws[:25], "mean")
    assert few.high - few.low > 2 * (high - low)
    assert math.isnan(bootstrap([1.0, 2.0], "mean").low)
    assert shown([math.nan]) == "n.a."


def test_dispersed_sizes_are_scaled_by_the_ratio_of_fuel_in_reach() -> None:
    clustered = {"fuel_distance": np.array([0.005, 0.02]), "fuel_lots": np.array([30.0, 100.0])}
    dispersed = {"fuel_distance": np.array([0.005, 0.02]), "fuel_lots": np.array([60.0, 70.0])}
    runs = {
        dispersion.job(dispersion.CLUSTERED, 1.0, 1.5, 1): clustered,
        dispersion.job(dispersion.DISPERSED, 1.0, 1.5, 1): dispersed,
    }
    found = dispersion.matched(runs, 1.0, 1.5, 1)
    assert found is not None
    assert "fuel_ratio=0.75" in found.overrides
    clustered["fuel_lots"][0] = 0.0
    assert dispersion.matched(runs, 1.0, 1.5, 1) is None


def test_leverage_before_at_and_after_a_fall_is_read_off_the_crowd() -> None:
    hours = np.arange(0, 60.0)
    gross = np.where(hours < 20, 8.0, np.where(hours < 24, 2.0, 5.0))
    kept = {
        "populations": {
            "population": np.array(["retail"] * 60),
            "time_s": hours * 3600,
            "long_notional": gross,
            "short_notional": np.zeros(60),
            "equity": np.ones(60),
        }
    }
    assert stress.leverage_around(kept, 20 * 3600.0) == (8.0, 2.0, 5.0)


def test_an_idle_account_that_lost_is_noticed() -> None:
    accounts = {
        "position_start": np.zeros(3),
        "position_end": np.zeros(3),
        "fees_paid": np.array([0.0, 0.0, 4.0]),
        "population": np.array(["insurance", "retail", "retail"]),
        "equity_start": np.array([9.0, 5.0, 5.0]),
        "equity_end": np.array([1.0, 5.0, 1.0]),
    }
    assert stress.innocents_lost({"accounts": accounts}) == 0.0
    accounts["equity_end"][1] = 3.0
    assert stress.innocents_lost({"accounts": accounts}) == 2.0
