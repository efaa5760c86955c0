"""The registry of summary metrics: one entry a key, and every key of a run has one."""

from pathlib import Path

import pytest

from marginquake.analysis.measures.summary_metrics import (
    NOT_METRICS,
    SUMMARY_METRICS,
    SummaryMetric,
    metric_of,
    registered,
)
from marginquake.sim.studies import run as running

TINY = Path(__file__).parents[2] / "scenarios" / "tiny.yaml"
MOVING_MARGINS = (
    "duration=2s",
    "warmup=1s",
    "venue.maintenance={rule: volatility_linked, reference_volatility: 20%, update_every: 1s}",
    "venue.initial={rule: open_interest_linked, update_every: 1s}",
)


def test_no_key_has_two_entries() -> None:
    assert len(registered()) == len(SUMMARY_METRICS)
    assert not registered().keys() & NOT_METRICS


@pytest.mark.model
def test_every_key_of_a_summary_is_a_metric_or_says_which_run_it_is(tmp_path: Path) -> None:
    """And no entry is for a key that no run has."""
    summary = running.run(running.load_scenario(TINY, MOVING_MARGINS), seed=1, out=tmp_path).summary
    assert set(summary) == registered().keys() | NOT_METRICS


@pytest.mark.parametrize("metric", SUMMARY_METRICS, ids=lambda metric: metric.key)
def test_an_entry_says_what_it_is(metric: SummaryMetric) -> None:
    assert metric.note
    assert metric.label[0].islower()
    assert "_" not in metric.label + metric.short
    assert metric.heading[0].isupper()


def test_a_key_without_an_entry_is_called_by_its_words_and_the_unit_of_its_suffix() -> None:
    assert metric_of("own_gap_bps").title == "own gap, bp"
    assert metric_of("own_share_fraction").text(0.123) == "12.3 %"
    assert metric_of("okx.bad_debt").title == "okx: bad debt, quote units"
    assert metric_of("okx.bad_debt").short == "okx: bad debt"
