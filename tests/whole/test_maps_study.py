"""The study of maps: what it asks for exists, and its tables say what the runs kept."""

from typing import Any

from benchmarks import maps
from benchmarks.studies.runs import MEASURES, SCENARIOS
from marginquake.sim.studies import run as running

SEEDS = tuple(range(1, 6))


def error(time_s: float, correlation: float | None) -> dict[str, Any]:
    return {
        "time_s": time_s, "traded": 0.5, "seeded_share": 0.9, "correlation": correlation, "correlation_long": 0.4,
        "rank_correlation": None, "mass_ratio": 2.0, "wasserstein": 0.05,
    }  # fmt: skip


def outcome(forced: float) -> dict[str, Any]:
    """What a run keeps."""
    ways = dict.fromkeys(maps.WAYS, 0.0) | {"sold": 3e6, "stopped": 1e6}
    return {
        "hhi": forced / 1e8, "largest_share": 0.3, "margin_calls": 10, "forced_notional": forced,
        "cascade_notional": forced, "max_drawdown_fraction": 0.02,
        "errors": {knows: [error(0.0, 0.2), error(60.0, None)] for knows in ("prints", "entries")},
        "forecast": {**ways, "due": 4e6, "realised": 2e6, "called_before": 0.0, "unforeseen": 1e6},
    }  # fmt: skip


def test_every_job_can_be_loaded_and_measured() -> None:
    jobs = [maps.squeeze(maps.CLUSTERED, 0.5, 1), maps.squeeze(maps.DISPERSED, 0.5, 1), maps.day(1)]
    assert len({maps.key(job) for job in jobs}) == 3
    for job in jobs:
        assert job.keep in MEASURES
        running.load_scenario(SCENARIOS / job.scenario, job.overrides)


def test_differences_are_dispersed_less_clustered() -> None:
    kept = {
        maps.key(maps.squeeze(scenario, 0.5, seed)): outcome(forced + seed)
        for scenario, forced in ((maps.CLUSTERED, 30e6), (maps.DISPERSED, 10e6))
        for seed in SEEDS
    }
    (row,) = [line for line in maps.control(kept, 0.5, SEEDS).splitlines() if "forced notional" in line]
    assert "30.0" in row
    assert "10.0" in row
    assert "-20.0 [-20.0, -20.0]" in row


def test_errors_and_forecast_are_means_over_runs_with_what_is_missing_left_out() -> None:
    jobs = [maps.squeeze(maps.CLUSTERED, 0.5, seed) for seed in SEEDS]
    kept = {maps.key(job): outcome(30e6) for job in jobs}
    first, _, later, _ = maps.errors(kept, jobs, (0.0, 70.0)).splitlines()[2:]
    assert first.startswith("| 0 min | trades | 0.50 | 0.90 | 0.20 [0.20, 0.20] |")
    assert "| n.a. | 0.40" in later
    told = maps.forecast(kept, jobs)
    assert "| sold | 0.75 [0.75, 0.75] |" in told
    assert "| unforeseen, of what liquidation orders traded | 0.50 [0.50, 0.50] |" in told
