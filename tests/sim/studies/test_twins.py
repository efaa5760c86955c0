"""Twins: what is compared, by hand; what is switched off, by config; same seed, same draws, same outside path."""

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm, t

from marginquake import agents
from marginquake.analysis.frames.run_frames import load_run
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import bootstrap_interval
from marginquake.analysis.studies.twins import (
    Cell,
    TwinResult,
    effect_of,
    known_twins,
    lost_by,
    outcome,
    read_twin,
    write_twin,
)
from marginquake.analysis.studies.twins.outcome import taker_shares, way
from marginquake.analysis.studies.twins.result import thinned
from marginquake.analysis.studies.twins.sentences import cell_headings, cell_rows, effect_rows, sentences, two_sizes
from marginquake.sim.core.price_moves import from_start
from marginquake.sim.core.records import Cause
from marginquake.sim.model import model as model_
from marginquake.sim.runs import directory
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies import run as running
from marginquake.sim.studies.counterfactual import Study, TwinsDiffer, check_same_path, counterfactual
from marginquake.sim.studies.mechanisms import MECHANISMS, Absent, described, mechanism_named
from tests.support.command_line import marginquake
from tests.support.faults.seals import seal_run
from tests.support.paths import SCENARIOS, TINY
from tests.support.synthetic_run import write_synthetic_run

EVERYDAY = SCENARIOS / "everyday_market.yaml"
SHORT = ("duration=12s", "warmup=5s")


def made(folder: Path, *overrides: str, seed: int | None = None) -> Path:
    return running.run(running.load_scenario(TINY, (*SHORT, *overrides)), seed, out=folder, figures=False).path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One short run; twins gather beside it, so that later tests find them made."""
    return made(tmp_path_factory.mktemp("runs"), "fuel_ratio=2", "populations.crowd.entry_time=20s")


# ---- what is compared ------------------------------------------------------------------------------------------------


def test_a_fall_counts_from_the_start_and_a_rise_too() -> None:
    prices = np.array([np.nan, 100.0, 110.0, 96.0, 101.0])
    assert from_start(prices, "fall") == pytest.approx(0.04), "not from the high of 110"
    assert from_start(prices, "rise") == pytest.approx(0.10)
    assert from_start(np.array([100.0, 101.0]), "fall") == 0.0
    assert from_start(np.array([np.nan]), "fall") == 0.0


def test_the_way_down_begins_where_the_price_was_last_at_its_start(tmp_path: Path) -> None:
    market = load_run(write_synthetic_run(tmp_path / "run")).first
    series = {"time_s": np.arange(6.0), "last": np.array([100.0, 99.0, 100.0, 98.0, 97.0, 99.0])}
    assert way(replace(market, series=series), "fall") == (2.0, 4.0)
    assert way(replace(market, series=series), "rise") == (0.0, 0.0)
    series["last"] = 200 - series["last"]
    assert way(replace(market, series=series), "rise") == (2.0, 4.0)


def test_forced_share_is_of_what_takers_sold_on_the_way_down(tmp_path: Path) -> None:
    market = load_run(write_synthetic_run(tmp_path / "run")).first
    first_s, last_s = way(market, "fall")
    fills, forced, stops, sold = market.fills, 0.0, 0.0, 0.0
    for k in range(len(fills)):
        if first_s < fills.time_s[k] <= last_s and fills.side[k] == -1:
            sold += fills.notional[k]
            forced += fills.notional[k] * (fills.cause[k] in (Cause.LIQUIDATION, Cause.TAKEOVER))
            stops += fills.notional[k] * (fills.cause[k] == Cause.STOP)
    assert taker_shares(market, "fall") == pytest.approx((forced / sold, stops / sold))
    assert 0 < forced < sold
    shares = taker_shares(replace(market, events_kept="liquidations"), "fall")
    assert all(math.isnan(share) for share in shares), "voluntary fills are missing: no share of them is known"


def test_amplification_is_the_geometric_mean_of_paired_ratios_by_hand() -> None:
    with_it, without = np.array([0.04, 0.01, 0.06]), np.array([0.02, 0.02, 0.02])
    effect = effect_of(("liquidation",), (), with_it, without)
    assert effect.amplification.value == pytest.approx((2.0 * 0.5 * 3.0) ** (1 / 3))
    assert effect.share.value == pytest.approx(1 - 1 / 3.0 ** (1 / 3))
    assert effect.ratio_of_means.value == pytest.approx(11 / 6)
    assert effect.points.value == pytest.approx(0.05 / 3)
    assert (effect.n, effect.unchanged) == (3, 0)


def test_the_interval_is_that_of_the_log_ratios_carried_over() -> None:
    draws = np.random.default_rng(6)
    without = draws.lognormal(-4, 0.5, 20)
    with_it = without * draws.lognormal(0.7, 0.2, 20)
    low, high = bootstrap_interval(np.log(with_it / without))
    effect = effect_of(("stops",), (), with_it, without)
    assert (effect.amplification.low, effect.amplification.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert (effect.share.low, effect.share.high) == pytest.approx((1 - math.exp(-low), 1 - math.exp(-high)))
    assert effect.amplification.low < 2.0 < effect.amplification.high
    shuffled = effect_of(("stops",), (), with_it[::-1], without)
    assert shuffled.amplification.value == pytest.approx(effect.amplification.value), "the same mean of logs"
    width = math.log(effect.amplification.high / effect.amplification.low)
    assert math.log(shuffled.amplification.high / shuffled.amplification.low) > 2 * width, "pairs are what narrows it"


def test_the_ratio_of_means_draws_whole_seeds_like_a_naive_loop() -> None:
    draws = np.random.default_rng(8)
    with_it, without = draws.uniform(0.02, 0.05, 9), draws.uniform(0.01, 0.02, 9)
    picks = np.random.default_rng(1).integers(0, 9, (4000, 9))
    ratios = sorted(sum(with_it[k] for k in row) / sum(without[k] for k in row) for row in picks)
    outside = round(4000 * norm.cdf(-math.sqrt(9 / 8) * t.ppf(0.975, 8)))  # expanded for nine seeds
    found = effect_of(("x",), (), with_it, without).ratio_of_means
    assert found.value == pytest.approx(sum(with_it) / sum(without))
    assert (found.low, found.high) == pytest.approx((ratios[outside], ratios[-1 - outside]), rel=4e-3)


def test_pairing_keeps_its_promise_over_many_samples() -> None:
    """The 95 % interval of a known ratio holds it in about 95 of 100 samples."""
    held = 0
    for number in range(200):
        draws = np.random.default_rng(number)
        without = draws.lognormal(-4, 0.6, 15)
        effect = effect_of(("x",), (), without * draws.lognormal(0.4, 0.3, 15), without)
        held += effect.amplification.low <= math.exp(0.4) <= effect.amplification.high
    assert 176 <= held <= 198


def test_effects_of_two_mechanisms_multiply_on_every_path_through_the_cells() -> None:
    draws = np.random.default_rng(2)
    everything, no_forced, no_stops, neither = draws.uniform(0.01, 0.05, (4, 9))
    forced = effect_of(("liquidation",), (), everything, no_forced)
    stops_then = effect_of(("stops",), ("liquidation",), no_forced, neither)
    stops = effect_of(("stops",), (), everything, no_stops)
    forced_then = effect_of(("liquidation",), ("stops",), no_stops, neither)
    both = effect_of(("liquidation", "stops"), (), everything, neither).amplification.value
    assert forced.amplification.value * stops_then.amplification.value == pytest.approx(both)
    assert stops.amplification.value * forced_then.amplification.value == pytest.approx(both)


def test_a_market_that_does_not_fall_has_no_ratio_and_one_seed_no_interval() -> None:
    flat = effect_of(("liquidation",), (), np.array([0.02, 0.03]), np.array([0.01, 0.0]))
    assert flat.amplification.value == pytest.approx(2.0)
    assert flat.n == 1
    assert not flat.amplification.has_interval
    never = effect_of(("liquidation",), (), np.zeros(3), np.zeros(3))
    assert math.isnan(never.amplification.value)
    assert math.isnan(never.ratio_of_means.value)
    assert (never.points.value, never.unchanged) == (0.0, 3)


def test_thinning_keeps_ends_and_extremes() -> None:
    times = np.arange(10_000.0)
    first, second = np.cos(times), np.sin(times)
    first[7777], second[3333] = -5.0, 9.0
    kept, one, other = thinned(times, first, second)
    assert len(kept) < 620
    assert (kept[0], kept[-1], min(one), max(other)) == (0.0, 9999.0, -5.0, 9.0)


# ---- what is switched off, by config ---------------------------------------------------------------------------------


def everyday() -> Scenario:
    return running.load_scenario(EVERYDAY)


def test_every_mechanism_is_a_change_of_fields_that_exist() -> None:
    scenario = everyday()
    for name in (*MECHANISMS, "whales"):
        changes = mechanism_named(name, scenario).changes(scenario)
        assert bool(changes) == (name != "nothing")
        twin = running.load_scenario(EVERYDAY, [f"{path}={json.dumps(value)}" for path, value in changes.items()])
        assert twin.resolved() != scenario.resolved() or name == "nothing"


def test_a_mechanism_that_is_off_cannot_be_switched_off_again() -> None:
    scenario = everyday()
    for name in ("liquidation", "stops", "withdrawal", "contrarians"):
        changes = mechanism_named(name, scenario).changes(scenario)
        twin = running.load_scenario(EVERYDAY, [f"{path}={json.dumps(value)}" for path, value in changes.items()])
        with pytest.raises(Absent, match=f"--without {name}: .*everyday_market"):
            mechanism_named(name, twin).changes(twin)


def test_withdrawal_off_is_full_size_and_no_pulls_for_makers_and_no_pause_for_hfts() -> None:
    scenario = everyday()
    assert MECHANISMS["withdrawal"].changes(scenario) == {
        "populations.makers.withdrawal": 0.0, "populations.makers.pull_sigmas": None,
        "populations.makers.pull_inventory": None, "populations.makers.pull_loss_d1": None,
        "populations.hft.pull_sigmas": None,
    }  # fmt: skip


def test_what_is_off_is_said_in_words() -> None:
    assert described(["liquidation", "stops"]) == "forced orders and stops"
    assert described(["hft_desk"]) == "the hft desk"
    assert described(["stops", "withdrawal", "whales"]) == "stops, withdrawal in stress and the whales"


# ---- twins of a real run ---------------------------------------------------------------------------------------------


@pytest.mark.model
def test_a_twin_with_nothing_changed_has_the_same_digest_though_its_sizes_are_given(tiny: Path) -> None:
    found = counterfactual(tiny, ["nothing"])
    assert found.twin.summary["event_digest"] == directory.read_summary(tiny)["event_digest"]
    assert found.result.cells[0].digests == found.result.cells[1].digests
    assert found.result.amplification.value == 1.0
    scale = directory.read_summary(tiny)["position_scale"]
    assert scale != 1.0
    assert found.twin.scenario["position_scale"] == scale
    assert found.twin.scenario["fuel_ratio"] is None


@pytest.mark.model
def test_a_run_of_other_events_is_found_out(tiny: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tiny, tmp_path / tiny.name))
    shutil.rmtree(copied / "counterfactuals", ignore_errors=True)
    summary = json.loads((copied / "summary.json").read_text())
    (copied / "summary.json").write_text(json.dumps(summary | {"event_digest": "0" * 32}))
    seal_run(copied, event_digest="0" * 32)
    with pytest.raises(TwinsDiffer, match="with nothing changed seed 1 gave other events"):
        counterfactual(copied, ["nothing"])
    assert not (copied / "counterfactuals").exists()


@pytest.mark.model
def test_forced_orders_deepen_the_fall_and_come_with_twins_without_stops(tiny: Path) -> None:
    result = counterfactual(tiny, ["liquidation"], seeds=3).result
    assert [cell.without for cell in result.cells] == [(), ("liquidation",), ("stops",), ("liquidation", "stops")]
    assert result.seeds == (1, 2, 3)
    falls = np.array([cell.moves for cell in result.cells])
    assert (falls[0] > falls[1]).all()
    assert (falls[2] > falls[3]).all()
    assert result.amplification.value == pytest.approx(np.exp(np.log(falls[0] / falls[1]).mean()))
    assert result.effects[1].given == ("stops",)
    assert result.effects[1].amplification.value == pytest.approx(np.exp(np.log(falls[2] / falls[3]).mean()))
    assert 0 < result.forced_volume_share.value < 1
    assert 0 < result.stop_volume_share.value < 1
    assert (result.fall_with, result.fall_without) == (falls[0][0], falls[1][0])
    twins = [load_run(tiny.parent / "twins" / cell.runs[0]) for cell in result.cells[1:]]
    assert [twin.summary["stop_notional"] > 0 for twin in twins] == [True, False, False]
    assert [twin.summary["forced_notional"] > 0 for twin in twins] == [False, True, False]
    assert [twin.summary["margin_calls"] > 0 for twin in twins] == [True, True, True]


@pytest.mark.model
def test_runs_that_are_there_are_not_made_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = counterfactual(tiny, ["liquidation"], pair_only=True).result
    assert len(first.cells) == 2
    monkeypatch.setattr(running, "run", lambda *_, **__: pytest.fail("a run was made"))
    told: list[tuple[int, int]] = []
    again = counterfactual(tiny, ["liquidation"], pair_only=True, progress=lambda p: told.append((p.done, p.total)))
    assert repr(again.result) == repr(first)
    assert told[-1] == (2, 2)


@pytest.mark.model
def test_the_command_in_a_twins_manifest_makes_the_same_events_by_hand(tiny: Path, tmp_path: Path) -> None:
    twin = counterfactual(tiny, ["stops"]).twin
    manifest = twin.manifest
    assert re.fullmatch(r"tiny-without-stops-[0-9a-f]{8}-s1", twin.path.name)
    assert manifest["twin_of"] == {
        "run": tiny.name, "scenario_digest": directory.read_manifest(tiny)["scenario_digest"], "without": ["stops"],
    }  # fmt: skip
    program, *words = manifest["command"]
    assert program == "marginquake"
    assert manifest["overrides"] == [words[k + 1] for k, word in enumerate(words) if word == "--set"]
    again = marginquake(*words, "--out", tmp_path, "--no-figures", "--quiet")
    assert again.exit_code == 0, again.output
    made_again = directory.read_manifest(Path(again.stdout.strip()))
    for key in ("event_digest", "scenario_digest", "seed"):
        assert made_again[key] == manifest[key], key
    shown = marginquake("show", twin.path).stdout
    assert f"twin of          {tiny.name}, without stops" in shown
    assert re.search(r"Largest fall .*Largest rise ", shown, re.DOTALL)


@pytest.mark.model
def test_a_fuller_result_is_not_replaced_by_a_smaller_one(tiny: Path) -> None:
    copied = Path(shutil.copytree(tiny, tiny.parent / "copied"))  # beside the same twins
    shutil.rmtree(copied / "counterfactuals", ignore_errors=True)
    full = counterfactual(copied, ["liquidation"], seeds=2)
    assert full.fuller == ""
    kept = full.path.read_bytes()
    pair = counterfactual(copied, ["liquidation"], seeds=2, pair_only=True)
    assert (len(pair.result.cells), pair.path) == (2, full.path)
    assert pair.fuller == "the twins without stops, the twins without liquidation and stops"
    one = marginquake("counterfactual", copied, "--without", "liquidation", "--workers", 1)
    assert one.exit_code == 0, one.output
    assert one.stderr.splitlines()[-1].startswith(f"{full.path} holds more (seeds 2): it is left as it is")
    assert one.stdout.splitlines()[-1] == str(full.path)
    assert not list((copied / "figures").iterdir()), "nor its pictures"
    assert full.path.read_bytes() == kept


@pytest.mark.model
def test_the_result_is_read_back_as_it_was_and_only_while_it_belongs_to_the_run(tiny: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tiny, tmp_path / tiny.name))
    shutil.rmtree(copied / "counterfactuals", ignore_errors=True)
    found = counterfactual(copied, ["liquidation"], seeds=2)
    assert found.path == copied / "counterfactuals" / "liquidation.json"
    (known,) = known_twins(load_run(copied))
    assert repr(known) == repr(found.result), "NaNs and all"
    assert [file.name for file in found.path.parent.iterdir()] == ["liquidation.json"]
    seal_run(copied, event_digest="another past")
    assert known_twins(load_run(copied)) == ()
    found.path.write_text("{")
    with pytest.raises(RunDirectoryError, match=r"liquidation.json: cannot be read.*delete it"):
        known_twins(load_run(copied))


@pytest.mark.model
def test_the_outside_path_is_the_same_and_a_twin_with_another_is_refused(tiny: Path, tmp_path: Path) -> None:
    found = counterfactual(tiny, ["withdrawal"])
    for name in ("fundamental", "time_s"):
        assert np.array_equal(found.base.first.series[name], found.twin.first.series[name], equal_nan=True)
    assert not np.array_equal(found.base.first.series["last"], found.twin.first.series["last"])
    twin = found.twin.first
    moved = twin.series | {"fundamental": np.where(twin.series["time_s"] >= 3, 1.0, twin.series["fundamental"])}
    other = replace(found.twin, markets={"main": replace(twin, series=moved)})
    with pytest.raises(RunDirectoryError, match=r"no twin of .*: the fundamental of main differs from 3 s on"):
        check_same_path(found.base, other)


@pytest.mark.model
def test_a_spoilt_twin_on_disk_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    run = made(tmp_path, "duration=3s")
    twin = counterfactual(run, ["liquidation"], pair_only=True)
    twin.path.unlink()
    file = twin.twin.path / "series.parquet"
    table = pq.read_table(file)
    place = table.column_names.index("fundamental")
    moved = pa.array(table["fundamental"].to_numpy() + 1.0)
    pq.write_table(table.set_column(place, "fundamental", moved), file)
    result = marginquake("counterfactual", run, "--without", "liquidation", "--pair-only")
    assert result.exit_code == 2
    assert not twin.path.exists()


TWO_MARKETS = """
fuel_ratio: 1
markets: {a: {}, b: {fuel_ratio: 2}}
populations:
"""


@pytest.mark.model
def test_every_market_keeps_the_size_of_its_own_positions(tmp_path: Path) -> None:
    head, populations = TINY.read_text().split("populations:\n")
    others = re.sub(r"^  (\w+):", r"  b_\1:", populations, flags=re.M).replace("type:", "market: b, type:")
    others = others.replace("    market: b, type: retail\n", "    market: b\n    type: retail\n")
    file = tmp_path / "two.yaml"
    file.write_text(head + TWO_MARKETS + populations + others)
    run = running.run(running.load_scenario(file, ("duration=2s", "warmup=5s")), out=tmp_path, figures=False).path
    found = counterfactual(run, ["withdrawal"])
    for name, key in (("a", "position_scale"), ("b", "b.position_scale")):
        block = found.twin.scenario["markets"][name]
        assert (block["fuel_ratio"], block["position_scale"]) == (None, found.base.summary[key])
    assert [each.market for each in found.results] == ["a", "b"], "every market is measured"
    assert found.results[0].cells[0].digests == found.results[1].cells[0].digests
    for each in found.results:
        for cell, frames in zip(each.cells, (found.base, found.twin), strict=True):
            assert cell.moves == (from_start(frames.markets[each.market].run["last"], each.direction),)
    assert repr(read_twin(found.path)) == repr(found.results)
    told = marginquake("counterfactual", run, "--without", "withdrawal", "--workers", 1)
    tables = told.stdout.split("market b\n")
    assert [text.count("without withdrawal in stress") for text in tables] == [1, 1]
    assert tables[0].startswith("market a\n")
    assert {path.name for path in (run / "figures").iterdir()} == {"twin-withdrawal.png", "twin-withdrawal-b.png"}
    assert found.base.summary["position_scale"] != found.base.summary["b.position_scale"]


@pytest.mark.model
def test_without_withdrawal_makers_never_pull(tiny: Path) -> None:
    twin = counterfactual(tiny, ["withdrawal"]).twin
    makers = twin.scenario["populations"]["makers"]
    assert (makers["withdrawal"], makers["pull_sigmas"]) == (0.0, None)
    model = model_.MarketModel(running.load_scenario(twin.path / "scenario.resolved.yaml"), agents.AGENT_TYPES, seed=1)
    try:
        for _ in range(model.steps_total):
            model.step()
        (participant,) = [p for p in model.participants if p.name == "makers"]
        assert (participant.pulled_until_ns < model.now_ns - 10**15).all(), "as at the beginning"
    finally:
        running.release(model)


@pytest.mark.model
def test_removing_a_population_that_does_nothing_changes_nothing_but_row_numbers(tmp_path: Path) -> None:
    """It stands before others in the table and in the file, so that their rows, and the order of ties, could shift."""
    text = TINY.read_text().replace(
        "populations:\n", "populations:\n  waiting: {type: contrarian, accounts: 7, from_move: 80%, full_move: 90%}\n"
    )
    file = tmp_path / "idle.yaml"
    file.write_text(text)
    run = running.run(running.load_scenario(file, SHORT), out=tmp_path, figures=False).path
    result = counterfactual(run, ["waiting"])
    with_them = running.simulate(running.load_scenario(run / "scenario.resolved.yaml"), 1)
    overrides = ["populations.waiting=null"]
    without = running.simulate(running.load_scenario(run / "scenario.resolved.yaml", overrides), 1)
    ours, theirs = with_them.events["main"], without.events["main"]
    assert len(ours) == len(theirs)
    for name in ours.dtype.names or ():
        if name in ("account", "maker_account"):
            moved = np.where(ours[name] >= 3 + 7, ours[name] - 7, ours[name])
            assert np.array_equal(moved, theirs[name]), name
        else:
            assert np.array_equal(ours[name], theirs[name]), name
    assert result.result.effects[0].unchanged == 1


@pytest.mark.model
def test_removing_a_population_leaves_everybody_elses_accounts_as_they_were_drawn(tiny: Path) -> None:
    found = counterfactual(tiny, ["value"])
    ours, theirs = found.base.first.accounts, found.twin.first.accounts
    keep = np.array(ours["population"]) != "value"
    assert np.array_equal(np.array(ours["population"])[keep], theirs["population"])
    assert np.array_equal(ours["leverage"][keep], theirs["leverage"])
    crowd = np.array(theirs["population"]) == "crowd"  # others have traded by t = 0, with the market as they found it
    for name in ("deposit", "position_start", "isolated"):
        assert np.array_equal(ours[name][keep][crowd], theirs[name][crowd]), name
    assert found.base.summary["position_scale"] == found.twin.summary["position_scale"]


@pytest.mark.model
def test_stops_off_leaves_who_deleverages_and_hedges_as_drawn(tmp_path: Path) -> None:
    policies = "populations.crowd.prevention={none: 0.2, stop: 0.3, delever: 0.3, hedge: 0.2}"
    run = made(tmp_path, policies)
    found = counterfactual(run, ["stops"])
    drawn = []
    for frames in (found.base, found.twin):
        model = model_.MarketModel(
            running.load_scenario(frames.path / "scenario.resolved.yaml"), agents.AGENT_TYPES, seed=1
        )
        (crowd,) = [p for p in model.participants if p.name == "crowd"]
        drawn.append((crowd._prevention._delevering.tolist(), crowd._prevention._hedging.tolist()))
        assert crowd._protection._uses_stop.any() == (frames is found.base)
        running.release(model)
    assert drawn[0] == drawn[1]
    assert drawn[0][0]
    assert found.twin.summary["stop_notional"] == 0


@pytest.mark.model
def test_without_leverage_forced_orders_have_nothing_to_add_on_any_seed(tmp_path: Path) -> None:
    run = made(tmp_path, "populations.crowd.leverage=1", "populations.crowd.stop_share=0")
    found = counterfactual(run, ["liquidation"], seeds=5)
    assert len(found.result.cells) == 2, "no stops, no twins without them"
    assert found.result.amplification == Estimate(1.0, 1.0, 1.0)
    assert found.result.cells[0].digests == found.result.cells[1].digests
    assert sentences(found.result, described)[0].startswith("Forced orders never came into play")


@pytest.mark.model
def test_amplification_tends_to_one_as_fuel_goes(tmp_path: Path) -> None:
    found = counterfactual(made(tmp_path, "fuel_ratio=0.02"), ["liquidation"], seeds=3, pair_only=True)
    assert found.result.amplification.value == pytest.approx(1.0, abs=0.03)


@pytest.mark.model
def test_where_shorts_are_squeezed_rises_are_compared(tmp_path: Path) -> None:
    squeezed = ("index.shocks=[{at: 5s, log_return: 2%, over: 5s}]", "populations.crowd.long_share=0", "duration=15s")
    result = counterfactual(made(tmp_path, *squeezed), ["liquidation"], pair_only=True).result
    assert result.direction == "rise"
    assert result.amplification.value > 1
    assert "rise" in sentences(result, described)[0]


@pytest.mark.model
def test_several_off_at_once_are_one_twin_whatever_their_order(tiny: Path) -> None:
    one = counterfactual(tiny, ["value", "stops"])
    other = counterfactual(tiny, ["stops", "value", "stops"])
    assert one.path == other.path
    assert one.path.name == "stops+value.json"
    assert one.result.cells[1].digests == other.result.cells[1].digests
    assert "value" not in one.twin.scenario["populations"]
    assert one.twin.summary["stop_notional"] == 0


@pytest.mark.model
def test_a_removed_population_may_have_had_a_part_in_a_mechanism(tmp_path: Path) -> None:
    run = made(tmp_path, "populations.crowd.initial_open_fraction=0", "duration=3s")
    twin = counterfactual(run, ["stops", "crowd"]).twin
    assert list(twin.scenario["populations"]) == ["makers", "flow", "arbs", "value", "carry"]


@pytest.mark.model
def test_workers_give_what_one_process_gives(tiny: Path, tmp_path: Path) -> None:
    alone = counterfactual(tiny, ["withdrawal"], seeds=2).result
    copied = Path(shutil.copytree(tiny, tmp_path / tiny.name))
    together = counterfactual(copied, ["withdrawal"], seeds=2, workers=2).result
    assert repr(together) == repr(alone)
    for name in alone.cells[1].runs:
        here, there = (directory.read_manifest(run.parent / "twins" / name) for run in (tiny, copied))
        assert (here["twin_of"], here["overrides"]) == (there["twin_of"], there["overrides"])
        assert [word.replace(str(copied), str(tiny)) for word in there["command"]] == here["command"]


@pytest.mark.model
@pytest.mark.parametrize(
    ("without", "message"),
    [
        (
            ["contrarians"],
            r"tiny has no population of type contrarian\. Mechanisms of .*: makers, flow, arbs, value, crowd\.$",
        ),
        (
            ["vlaue"],
            r"neither a mechanism nor a population of tiny; did you mean value\? .*: makers, flow, arbs, value,",
        ),
        (["nothing", "stops"], "--without nothing: goes with no other --without"),
        (
            ["carry"],
            "--without carry: the rest of tiny cannot be run: nobody takes the other side .*: makers, flow,",
        ),
        (
            [],
            r"WHAT.*: liquidation \(forced orders\), stops, with.*\. Populations: makers, flow, arbs, value, crowd\. ",
        ),
    ],
)
def test_what_cannot_be_asked_exits_2_with_a_message_and_makes_nothing(
    without: list[str], message: str, tiny: Path
) -> None:
    before = sorted(tiny.parent.rglob("*"))
    result = marginquake("counterfactual", tiny, *(word for name in without for word in ("--without", name)))
    assert result.exit_code == 2
    with pytest.raises(RunDirectoryError, match=message):
        Study(tiny, without)
    assert sorted(tiny.parent.rglob("*")) == before


def test_a_scenario_file_is_not_run_before_what_is_asked_of_it_makes_sense(tmp_path: Path) -> None:
    for words, message in (
        ((), "say what to leave out"),
        (("--without", "vlaue"), "did you mean value?"),
        (("--without", "contrarians"), "no population of type contrarian"),
    ):
        result = marginquake("counterfactual", TINY, *words, "--out", tmp_path)
        assert result.exit_code == 2
        assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_scenario_without_stops_says_so(tmp_path: Path) -> None:
    run = made(tmp_path, "populations.crowd.stop_share=0", "duration=2s")
    with pytest.raises(RunDirectoryError, match="--without stops: tiny has no stops"):
        Study(run, ["stops"])


@pytest.mark.model
def test_a_run_of_another_model_version_is_refused(tiny: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tiny, tmp_path / tiny.name))
    seal_run(copied, model_version="0")
    with pytest.raises(RunDirectoryError, match="made by model version 0"):
        Study(copied, ["liquidation"])


@pytest.mark.model
def test_the_command_prints_a_table_a_sentence_and_its_file_and_draws(tmp_path: Path) -> None:
    scenario = tmp_path / "tiny.yaml"
    scenario.write_text(TINY.read_text().replace("duration: 20s", "duration: 12s"))
    arguments = ("counterfactual", scenario, "--without", "liquidation", "--out", tmp_path / "runs", "--workers", 1)
    result = marginquake(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    path = Path(lines[-1])
    assert path.parent.name == "counterfactuals"
    assert any(line.startswith("without forced orders and stops") for line in lines)
    assert any(line.startswith("Forced orders made the fall ") for line in lines)
    for name in ("twin-liquidation.png", "twins-liquidation.png"):
        assert (path.parents[1] / "figures" / name).stat().st_size > 10_000
    quiet = marginquake(*arguments, "--quiet", "--no-figures")
    assert quiet.stdout == f"{path}\n"
    assert len(read_twin(path)) == 1


# ---- words -----------------------------------------------------------------------------------------------------------


def a_result(**changes: Any) -> TwinResult:
    with_it, without = np.array([0.035, 0.04, 0.03]), np.array([0.014, 0.015, 0.013])
    effect = effect_of(("liquidation",), (), with_it, without)
    result = TwinResult(
        without=("liquidation",), run="r-s1", event_digest="d", market="main", direction="fall", seeds=(1, 2, 3),
        cells=(
            Cell((), tuple(with_it.tolist()), ("a", "b", "c"), ("1", "2", "3")),
            Cell(("liquidation",), tuple(without.tolist()), ("d", "e", "f"), ("4", "5", "6")),
        ),
        effects=(effect,), forced_volume_share=Estimate(0.5, 0.4, 0.6), stop_volume_share=Estimate(0.1, 0.05, 0.2),
        time_s=(0.0, 1.0), price_with=(100.0, math.nan), price_without=(100.0, 98.6),
    )  # fmt: skip
    return replace(result, **changes)


def test_the_sentence_says_how_much_and_the_rows_too() -> None:
    result = a_result()
    first, volume = sentences(result, described)
    assert (
        first == "Forced orders made the fall 2.49 times as deep (3 seeds, no interval below 5): 60 % of it is theirs."
    )
    assert volume == "On the way, 50 [40, 60] % of what takers sold was forced and 10 [5, 20] % came from stops."
    assert cell_rows(result, described)[1] == ("without forced orders", "1.40", "1.30", "1.50")
    assert effect_rows(result, described)[0][:2] == ("forced orders", "as they are")


def test_one_seed_has_one_column_of_moves_and_several_have_three() -> None:
    several = a_result()
    assert cell_headings(several) == ["market", "mean fall from the start, %", "smallest", "largest"]
    assert {len(row) for row in cell_rows(several, described)} == {4}
    cells = tuple(replace(cell, moves=cell.moves[:1]) for cell in several.cells)
    one = replace(several, seeds=(1,), cells=cells)
    assert cell_headings(one) == ["market", "fall from the start, %"]
    assert cell_rows(one, described) == [("everything on", "3.50"), ("without forced orders", "1.40")]


def test_a_move_that_is_larger_from_its_peak_is_told_in_both_sizes() -> None:
    said = two_sizes("fall", np.array([100.0, math.nan, 102.0, 96.9]))
    assert said == "The fall counts from the start price; the largest from a peak was 5.00 %."
    assert two_sizes("rise", np.array([100.0, 80.0, 104.0])).endswith("the largest from a low was 30.00 %.")
    assert two_sizes("fall", np.array([100.0, 96.0, 98.0])) == "", "both are one"


def test_amplification_beyond_the_ordinary_band_is_doubted() -> None:
    effect = effect_of(("liquidation",), (), np.array([0.05, 0.06, 0.07]), np.array([0.01, 0.01, 0.01]))
    assert any("Ordinary events lie at 1.2-3" in line for line in sentences(a_result(effects=(effect,)), described))
    assert not any("Ordinary" in line for line in sentences(a_result(), described))


def test_a_mechanism_that_moves_no_price_of_a_market_changed_nothing_there() -> None:
    same = effect_of(("liquidation",), (), np.array([0.05, 0.06, 0.07]), np.array([0.05, 0.06, 0.07]))
    assert sentences(a_result(effects=(same,)), described)[0] == (
        "Forced orders changed nothing here: the fall is the same without (3 seeds)."
    )


def test_only_a_result_with_all_its_seeds_and_cells_takes_the_place_of_another() -> None:
    full, fewer = a_result(), a_result(seeds=(1, 2))
    pair, four = [full], [replace(full, cells=(*full.cells, replace(full.cells[1], without=("stops",))))]
    assert lost_by(pair, []) == lost_by(pair, pair) == lost_by(four, pair) == lost_by([full], [fewer]) == ""
    assert lost_by([fewer], pair) == "seeds 3"
    assert lost_by(pair, four) == "the twins without stops"
    assert lost_by([a_result(seeds=(3, 4))], pair) == "seeds 1, 2"


def test_an_interval_around_one_decides_nothing() -> None:
    with_it, without = np.array([0.05, 0.01, 0.03, 0.04, 0.02]), np.array([0.03, 0.02, 0.03, 0.03, 0.03])
    result = a_result(effects=(effect_of(("liquidation",), (), with_it, without),), seeds=(1, 2, 3, 4, 5))
    assert "cannot be told" in sentences(result, described)[0]


def test_a_result_with_gaps_survives_the_file(tmp_path: Path) -> None:
    result = a_result(forced_volume_share=Estimate(math.nan))
    path = write_twin([result, replace(result, market="other")], tmp_path)
    assert "NaN" not in path.read_text()
    assert repr(read_twin(path)) == repr((result, replace(result, market="other")))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))
    assert read_twin(path) == (), "another version's"


def test_an_outcome_without_events_knows_the_side_by_the_accounts(tmp_path: Path) -> None:
    run = load_run(write_synthetic_run(tmp_path / "run"))
    kept = outcome(run)
    bare = outcome(replace(run, markets={"m": replace(run.first, events_kept="none")}))
    assert kept.forced_sold > kept.forced_bought
    assert bare.forced_sold > bare.forced_bought
    assert math.isnan(bare.forced_share["fall"])
    assert bare.fall == kept.fall
