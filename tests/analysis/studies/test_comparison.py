"""Comparison of policies: statistics with known answers, verdicts in words, a self-contained report."""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import false_discovery_control, permutation_test

from marginquake.analysis.frames.run_frames import frames_of, load_run
from marginquake.analysis.measures.summary_metrics import Better
from marginquake.analysis.statistics.paired import EXACT_UP_TO, Paired
from marginquake.analysis.studies.comparison import (
    adjust_holm,
    bootstrap_interval,
    compare,
    levels,
    levels_markdown,
    load_comparison,
    measure,
    metric_named,
    paired,
    sign_flip_p_value,
    to_markdown,
    write_comparison,
)
from marginquake.analysis.studies.comparison.metrics import compared_metrics, profits
from marginquake.analysis.studies.comparison.verdict import Finding, Meaning, Pair, Verdict, findings_of
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.studies import run as running
from tests.support.paths import TINY
from tests.support.synthetic_run import write_synthetic_run

FALL = metric_named("max_drawdown_fraction")


def differences(*values: float) -> Paired:
    found = paired(np.zeros(len(values)), np.array(values))
    assert found is not None
    return found


def finding(key: str, *values: float) -> Finding:
    return findings_of([metric_named(key)], [differences(*values)])[0]


# ---- statistics -----------------------------------------------------------------------------------------------------


def test_a_constant_shift_has_an_infinite_effect_and_an_interval_of_one_point() -> None:
    baseline = np.random.default_rng(1).normal(3.4, 0.5, 40)
    found = paired(baseline, baseline - 0.42)
    assert found is not None
    assert found.d_z == -math.inf
    assert found.low == found.high == found.mean == pytest.approx(-0.42)
    assert found.lower == 1.0
    assert found.p_value == pytest.approx(1e-5)


def test_a_shift_much_smaller_than_the_spread_over_seeds_is_found_because_seeds_are_paired() -> None:
    draws = np.random.default_rng(2)
    baseline = draws.normal(0, 10, 40)
    found = paired(baseline, baseline + draws.normal(1, 1, 40))
    assert found is not None
    assert found.d_z == pytest.approx(1.0, abs=0.4)
    assert found.p_value < 1e-3
    assert found.low > 0


def test_noise_around_zero_is_rejected_in_one_case_of_twenty() -> None:
    draws = np.random.default_rng(3).normal(0, 1, (2000, 10))
    rejected = np.mean([sign_flip_p_value(row) < 0.05 for row in draws])
    assert rejected == pytest.approx(0.05, abs=0.015)


def test_noise_around_zero_gives_no_detectable_difference_in_nineteen_cases_of_twenty() -> None:
    draws = np.random.default_rng(4).normal(0, 1, (400, 12))
    verdicts = [finding("max_drawdown_fraction", *row).verdict for row in draws]
    assert set(verdicts) == {Verdict.UNDECIDED, Verdict.LOWER, Verdict.HIGHER}
    assert verdicts.count(Verdict.UNDECIDED) / len(verdicts) == pytest.approx(0.95, abs=0.03)


def test_identical_columns_are_identical_and_nothing_else() -> None:
    found = differences(0, 0, 0, 0, 0)
    assert found.identical
    assert (found.mean, found.low, found.high, found.d_z, found.p_value) == (0, 0, 0, 0, 1)


def test_seeds_that_cannot_answer_are_left_out_and_none_is_left_where_none_can() -> None:
    found = paired(np.array([1.0, math.nan, 3.0]), np.array([2.0, 2.0, 5.0]))
    assert found is not None
    assert (found.n, found.mean, found.baseline) == (2, 1.5, 2.0)
    assert paired(np.array([math.nan]), np.array([1.0])) is None


def test_below_five_seeds_there_is_no_interval_and_one_seed_has_no_effect_size() -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(np.array([1.0, 2.0, 4.0, 3.0])))
    assert all(math.isfinite(end) for end in bootstrap_interval(np.array([1.0, 2.0, 4.0, 3.0, 6.0])))
    assert math.isnan(differences(1.0).d_z)
    assert differences(1.0).p_value == 1.0


def test_five_differences_of_one_sign_give_two_in_thirty_two() -> None:
    assert sign_flip_p_value(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == 2 / 32
    assert sign_flip_p_value(-np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == 2 / 32
    assert sign_flip_p_value(np.full(5, 0.1)) == 2 / 32


def test_differences_of_zero_have_no_sign() -> None:
    assert sign_flip_p_value(np.array([1.0, 2.0, 0.0, 0.0, 3.0])) == 2 / 8


@pytest.mark.parametrize("count", [6, 9])
def test_the_sign_flip_test_is_that_of_scipy(count: int) -> None:
    draws = np.random.default_rng(count).normal(0.5, 1, count)
    both = (draws, np.zeros(count))
    theirs = permutation_test(both, _mean_difference, permutation_type="samples", n_resamples=2**count)
    assert sign_flip_p_value(draws) == pytest.approx(theirs.pvalue)


def _mean_difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(first - second, axis=axis)


def test_random_sign_patterns_agree_with_all_of_them() -> None:
    draws = np.random.default_rng(5).normal(0.4, 1, EXACT_UP_TO)
    # A seventeenth difference of next to nothing changes no sum, and makes the patterns too many to go through.
    assert sign_flip_p_value(np.append(draws, 1e-12)) == pytest.approx(sign_flip_p_value(draws), abs=0.004)


def test_intervals_hold_the_mean_in_nineteen_cases_of_twenty() -> None:
    draws = np.random.default_rng(7).normal(1, 1, (300, 40))
    held = [low <= 1 <= high for low, high in map(bootstrap_interval, draws)]
    assert np.mean(held) == pytest.approx(0.94, abs=0.03)


def test_holm_on_known_p_values() -> None:
    # Worked by hand: 4 * .005, 3 * .01, 2 * .03, then never less than the one before.
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_holm([0.9, 0.8]) == [1.0, 1.0]
    assert adjust_holm([]) == []


def test_holm_is_stricter_than_benjamini_and_hochberg() -> None:
    p = np.random.default_rng(8).uniform(0, 0.2, 12)
    assert (np.array(adjust_holm(p.tolist())) >= false_discovery_control(p) - 1e-12).all()


@pytest.mark.parametrize("count", [5, 6, 8, 12, 20])
@pytest.mark.parametrize("law", ["normal", "skewed", "discrete", "rare"])
def test_verdict_and_interval_never_disagree(count: int, law: str) -> None:
    """With one metric and with ten, of which some moved: no 0 in the interval is a verdict, and the reverse."""
    rng = np.random.default_rng(count)
    decided = 0
    for trial in range(60):
        draws = {
            "normal": rng.normal(size=(10, count)),
            "skewed": rng.lognormal(0, 1.5, (10, count)) - math.exp(1.125),
            "discrete": rng.integers(-1, 2, (10, count)).astype(float),
            "rare": (rng.random((10, count)) < 0.2) * rng.exponential(size=(10, count)),
        }[law]
        draws[:4] += 1.5 * (trial % 2)
        for rows in (draws, draws[:1]):
            for found in findings_of([FALL] * len(rows), [differences(*row) for row in rows]):
                is_decided = found.verdict in (Verdict.LOWER, Verdict.HIGHER)
                assert found.paired.excludes_zero is is_decided
                assert not found.paired.excludes_zero or found.holm < 0.05
                assert found.paired.low <= found.paired.mean <= found.paired.high
                decided += is_decided
    assert (decided > 0) is (count > 5), "of five seeds the sign test can decide nothing"


def test_what_is_left_of_equal_shifts_of_large_numbers_is_no_scatter() -> None:
    large = 1e9 * np.random.default_rng(9).uniform(1, 2, 8)
    shifted = paired(large, large + 0.42)
    assert shifted is not None
    assert shifted.d_z == math.inf
    assert shifted.low == shifted.high == shifted.mean == pytest.approx(0.42, abs=1e-6)
    same = paired(large, large * (1 + 2e-16))
    assert same is not None
    assert same.identical


# ---- verdicts -------------------------------------------------------------------------------------------------------

LOWER = [-0.0042 + 0.0002 * (k % 5 - 2) for k in range(10)]
NOISE = [0.001 * (-1) ** k * (1 + k % 3) for k in range(10)]


def test_a_lower_fall_is_better_and_says_how_much() -> None:
    found = finding("max_drawdown_fraction", *LOWER)
    assert found.verdict is Verdict.LOWER
    assert found.effect is Meaning.BETTER
    assert re.fullmatch(r"lower: -0\.420 points \[-0\.4\d\d, -0\.3\d\d\] \(10 seeds\)", found.words)


def test_a_lower_fund_is_worse_and_a_lower_open_interest_neither() -> None:
    assert finding("insurance_change", *LOWER).effect is Meaning.WORSE
    assert finding("open_interest_start", *LOWER).effect is Meaning.CHANGED
    assert finding("profit.longs", *LOWER).effect is Meaning.CHANGED


def test_noise_is_no_detectable_difference_and_shows_its_interval() -> None:
    found = finding("max_drawdown_fraction", *NOISE)
    assert found.effect is Meaning.UNDECIDED
    assert re.fullmatch(r"no detectable difference: .+ points \[-.+, \+.+\] \(10 seeds\)", found.words)


def test_identical_runs_are_called_so() -> None:
    assert finding("bad_debt", 0, 0, 0).words == "identical on every seed"


def test_a_verdict_needs_the_test_after_correction() -> None:
    lonely = finding("max_drawdown_fraction", *LOWER[:6])
    assert lonely.holm == pytest.approx(2 / 64)
    assert lonely.verdict is Verdict.LOWER
    others = ["bad_debt", "forced_notional"]
    crowd = findings_of(
        [FALL, *map(metric_named, others)], [differences(*LOWER[:6]), differences(*NOISE[:6]), differences(*NOISE[:6])]
    )
    assert crowd[0].holm == pytest.approx(6 / 64)
    assert crowd[0].paired.p_value == pytest.approx(2 / 64)
    assert crowd[0].verdict is Verdict.UNDECIDED


def test_metrics_that_never_moved_are_not_counted_by_the_correction() -> None:
    found = findings_of([FALL, metric_named("adl_notional")], [differences(*LOWER[:6]), differences(*[0.0] * 6)])
    assert found[0].holm == pytest.approx(2 / 64)


def test_the_sentence_names_better_worse_and_undecided() -> None:
    metrics = [metric_named(key) for key in ("max_drawdown_fraction", "bad_debt", "forced_notional", "adl_notional")]
    raised = [-1e6 * value for value in LOWER]
    moved = [differences(*column) for column in (LOWER, raised, NOISE, [0.0] * 10)]
    pair = Pair("full", "sliced", findings_of(metrics, moved))
    assert pair.sentence == (
        "sliced against full: better: largest fall lower (-0.420 points from 0 %); "
        "worse: bad debt higher (+4.2k from 0). "
        "No detectable difference: forced volume. Identical on every seed: auto-deleveraged."
    )
    assert not pair.too_few_seeds


def test_a_rule_that_never_binds_is_said_to() -> None:
    pair = Pair("no_band", "band", findings_of([FALL], [differences(0, 0, 0)]))
    assert (
        pair.sentence == "band against no_band: identical on every seed in every metric; the rule never came to bear."
    )
    assert not pair.too_few_seeds


def test_a_policy_that_is_the_rule_of_the_baseline_is_said_to_be() -> None:
    pair = Pair("bybit", "reduced", findings_of([FALL], [differences(0, 0, 0)]), same_as="bybit")
    assert pair.sentence == (
        "reduced against bybit: identical on every seed in every metric; same rule as the baseline."
    )
    twin = Pair("bybit", "again", findings_of([FALL], [differences(*LOWER[:6])]), same_as="full")
    assert twin.sentence.endswith(" Same rule as full.")
    assert "came to bear" not in pair.sentence + twin.sentence


def test_too_few_seeds_for_any_verdict_are_told() -> None:
    assert Pair("a", "b", findings_of([FALL], [differences(*LOWER[:5])])).too_few_seeds
    assert not Pair("a", "b", findings_of([FALL], [differences(*LOWER[:6])])).too_few_seeds


@pytest.mark.parametrize(
    ("key", "value", "level", "shift"),
    [
        ("max_drawdown_fraction", 0.0344, "3.44 %", "+3.44 points"),
        ("forced_notional", 1.23e6, "1.23M", "+1.23M"),
        ("liquidations", 12.0, "12", "+12"),
        ("median_spread_ticks", 2.5, "2.50 ticks", "+2.50 ticks"),
        ("mean_spread", 0.04, "0.0400 bp", "+0.0400 bp"),
        ("profit.longs", -2e6, "-2M", "-2M"),
    ],
)
def test_values_and_differences_carry_their_unit(key: str, value: float, level: str, shift: str) -> None:
    assert metric_named(key).level(value) == level
    assert metric_named(key).difference(value) == shift


# ---- metrics of a run -----------------------------------------------------------------------------------------------


def test_metrics_of_a_run_are_those_of_its_summary_and_series(tmp_path: Path) -> None:
    run = load_run(write_synthetic_run(tmp_path / "run", seconds=300))
    values = measure(run)
    assert [key for key in values if not key.startswith("profit.")] == [metric.key for metric in compared_metrics()]
    assert values["max_drawdown_fraction"] == run.summary["max_drawdown_fraction"]
    assert values["insurance_change"] == run.summary["insurance_fund_end"] - run.summary["insurance_fund_start"]
    assert 0 <= values["least_depth"] < 2
    assert values["mean_spread"] > 0
    assert metric_named("profit.longs").better is Better.NEITHER


@pytest.mark.model
def test_profits_of_a_real_run_sum_to_zero_apart_from_spot() -> None:
    scenario = running.load_scenario(TINY, ["fuel_ratio=1"])
    market = frames_of(running.simulate(scenario, seed=1), scenario).first
    without_spot = profits(market, spot=False)
    assert set(without_spot) > {"crowd", "makers", "carry", "insurance", "fees"}
    gross = sum(map(abs, without_spot.values()))
    assert gross > 1_000
    assert abs(sum(without_spot.values())) < 1e-9 * gross
    # What spot hedges earn comes from outside.
    assert sum(profits(market).values()) - sum(without_spot.values()) == pytest.approx(
        market.accounts["spot_pnl"].sum()
    )


# ---- comparisons on disk --------------------------------------------------------------------------------------------

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a comparison of synthetic runs: with forced orders, without, and the first one again."""

    def make(seeds: Sequence[int] = (1, 2, 3), missing: Sequence[tuple[int, int]] = ()) -> Path:
        directory = tmp_path / "cmp"
        rows: dict[str, list[int | str]] = {"point": [], "axis_policy": [], "seed": [], "run": []}
        labels = ("forced", "calm", "again")
        for point, label in enumerate(labels):
            for seed in seeds:
                if (point, seed) in missing:
                    continue
                run = f"run-{label}-s{seed}"
                write_synthetic_run(directory / "points" / run, seed, 300, forced=label != "calm")
                for column, value in zip(rows.values(), (point, label, seed, run), strict=True):
                    column.append(value)
        pq.write_table(pa.table(rows), directory / "results.parquet")
        points = [
            {"point": k, "values": {"policy": label}, "overrides": ["duration=5min", f"name={label}"]}
            for k, label in enumerate(labels)
        ]
        plan = {"schema_version": 1, "name": "forced_orders", "question": "What do <forced> orders do?",
                "model_version": "3", "design": "compare", "axes": [{"name": "policy"}], "points": points,
                "seeds": list(seeds), "event": {"metric": "bad_debt", "above": 0}}  # fmt: skip
        (directory / "sweep.json").write_text(json.dumps(plan))
        (directory / "sweep.yaml").write_text("# Question: What do forced orders do?\n")
        failures = [{"point": point, "seed": seed, "error": "the ladder ended"} for point, seed in missing]
        if failures:
            (directory / "failures.json").write_text(json.dumps(failures))
        return directory

    return make


def test_a_comparison_is_read_with_its_baseline_first(write: Write) -> None:
    comparison = load_comparison(write())
    assert comparison.alternatives == ("forced", "calm", "again")
    assert comparison.baseline == "forced"
    assert comparison.seeds == (1, 2, 3)
    assert comparison.shared_overrides == ("duration=5min",)
    assert comparison.own_overrides("calm") == ("name=calm",)
    assert comparison.runs["calm"][0] == "run-calm-s1"
    assert comparison.values["calm"]["forced_notional"].tolist() == [0.0, 0.0, 0.0]


def test_the_same_runs_again_are_identical_and_other_runs_are_not(write: Write) -> None:
    calm, again = compare(load_comparison(write()))
    assert all(found.verdict is Verdict.IDENTICAL for found in again.findings)
    fall = next(found for found in calm.findings if found.metric.key == "max_drawdown_fraction")
    assert fall.paired.lower == 1.0


def digests(directory: Path, **by_label: str) -> None:
    """Let the runs say which scenario they are of."""
    for label, digest in by_label.items():
        for manifest in directory.glob(f"points/run-{label}-*/manifest.json"):
            manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "scenario_digest": digest}))


def test_the_same_rule_is_known_by_the_digest_of_its_scenario(write: Write) -> None:
    directory = write()
    assert [pair.same_as for pair in compare(load_comparison(directory))] == [None, None], "these runs do not say"
    digests(directory, forced="a", calm="b", again="a")
    calm, again = compare(load_comparison(directory))
    assert (calm.same_as, again.same_as) == (None, "forced")
    assert again.sentence.endswith("same rule as the baseline.")
    assert "same rule as the baseline" in to_markdown(load_comparison(directory))
    assert "same rule as the baseline" in write_comparison(directory).read_text(encoding="utf-8")
    digests(directory, forced="a", calm="b", again="b")
    calm, again = compare(load_comparison(directory))
    assert (calm.same_as, again.same_as) == (None, "calm")
    digests(directory, again="c")
    assert compare(load_comparison(directory))[1].sentence.endswith("the rule never came to bear.")


def test_a_seed_that_one_alternative_lacks_is_dropped_for_all_and_reported(write: Write) -> None:
    directory = write(missing=[(1, 2)])
    comparison = load_comparison(directory)
    assert comparison.seeds == (1, 3)
    assert comparison.dropped == (2,)
    assert [len(column["max_drawdown_fraction"]) for column in comparison.values.values()] == [2, 2, 2]
    assert "1 seed left out, because not every alternative finished: 2." in to_markdown(comparison)
    page = write_comparison(directory).read_text(encoding="utf-8")
    assert "1 seed left out" in page
    assert "the ladder ended" in page


def test_without_a_common_seed_the_error_tells_the_first_failure(write: Write) -> None:
    directory = write(seeds=(1, 2), missing=[(0, 1), (1, 2)])
    with pytest.raises(RunDirectoryError, match=r"no seed was finished by every alternative; .*the ladder ended"):
        load_comparison(directory)


def test_where_no_run_was_finished_there_is_no_comparison(write: Write) -> None:
    directory = write()
    pq.write_table(pa.table({}), directory / "results.parquet")
    with pytest.raises(RunDirectoryError, match="no seed was finished by every alternative"):
        load_comparison(directory)


def test_alternatives_of_several_scenarios_are_told_apart_by_them(write: Write) -> None:
    directory = write()
    for summary in directory.glob("points/run-calm-*/summary.json"):
        summary.write_text(json.dumps({**json.loads(summary.read_text()), "scenario": "quiet", "name": "quiet"}))
    text = to_markdown(load_comparison(directory))
    assert "`synthetic_squeeze, quiet`, 3 seeds" in text
    assert "* `calm`: `quiet`, `name=calm`" in text


def test_what_is_no_comparison_is_refused_in_one_line(tmp_path: Path, write: Write) -> None:
    with pytest.raises(RunDirectoryError, match=r"sweep\.json missing"):
        load_comparison(tmp_path)
    directory = write()
    plan = json.loads((directory / "sweep.json").read_text())
    (directory / "sweep.json").write_text(json.dumps({**plan, "design": "grid"}))
    with pytest.raises(RunDirectoryError, match="design 'grid', no comparison"):
        load_comparison(directory)
    (directory / "sweep.json").write_text(json.dumps({**plan, "points": plan["points"][:1]}))
    with pytest.raises(RunDirectoryError, match="needs 2 alternatives"):
        load_comparison(directory)
    (directory / "sweep.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        load_comparison(directory)


def test_an_unfinished_comparison_is_refused(write: Write) -> None:
    directory = write()
    (directory / "results.parquet").unlink()
    with pytest.raises(RunDirectoryError, match=r"results\.parquet missing"):
        load_comparison(directory)


def test_the_report_holds_everything_and_asks_nobody(write: Write) -> None:
    directory = write()
    page = write_comparison(directory).read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page
    assert "<script" not in page
    assert "What do &lt;forced&gt; orders do?" in page
    assert page.count("data:image/png;base64,") == 3
    for words in ("calm against forced", "again against forced", "run more seeds", "p, Holm", "name=calm"):
        assert words in page
    assert {path.name for path in (directory / "figures").iterdir()} == {"differences.png", "falls.png", "levels.png"}


def test_markdown_has_a_table_row_for_every_metric(write: Write) -> None:
    comparison = load_comparison(write())
    text = to_markdown(comparison, level=3)
    assert text.startswith("### Forced orders\n\nWhat do <forced> orders do?\n")
    assert "`synthetic_squeeze`, 3 seeds, the same for every alternative." in text
    assert "* `calm`: `name=calm`\n" in text
    assert "* held fixed: `duration=5min`" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "metric | baseline" not in line]
    assert len(rows) == 2 * len(comparison.metrics)
    assert len({line.count("|") for line in rows}) == 1


# ---- levels ----------------------------------------------------------------------------------------------------------


def test_levels_are_means_with_intervals_and_differences_from_the_baseline(write: Write) -> None:
    comparison = load_comparison(write(seeds=(1, 2, 3, 4, 5)))
    forced, calm, again = levels(comparison, "forced_notional")
    assert forced.mean == pytest.approx(comparison.values["forced"]["forced_notional"].mean())
    assert forced.low <= forced.mean <= forced.high
    assert forced.difference == ""
    assert (calm.mean, calm.low, calm.high) == (0.0, 0.0, 0.0)
    assert calm.difference.startswith("-")
    assert again.difference.startswith("0")


def test_the_table_of_levels_has_a_row_an_alternative(write: Write) -> None:
    rows = levels_markdown(load_comparison(write())).splitlines()
    assert rows[0] == "| | largest fall | forced volume | bad debt | auto-deleveraged | socialised loss |"
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| `forced`", "| `calm`", "| `again`"]
    assert "<br>" not in rows[2]
    assert "<br>-" in rows[3]


def test_with_four_seeds_levels_have_no_interval(write: Write) -> None:
    found = levels(load_comparison(write(seeds=(1, 2, 3, 4))), "max_drawdown_fraction")
    assert all(math.isnan(level.low) and not math.isnan(level.mean) for level in found)
