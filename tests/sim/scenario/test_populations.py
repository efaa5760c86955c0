"""What the presets under scenarios/populations promise: their figures, and that they seed without complaint."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.fit_populations import (
    DETENTS,
    MAINTENANCE,
    PRESETS,
    called_within_a_day,
    continuous_like,
    fit_beta,
    fit_lognormal,
    hill,
    ks_distance,
    preset_rows,
    quantile,
)
from marginquake.agents import AGENT_TYPES
from marginquake.sim.market.streams import Streams
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.distributions import Beta, Lognormal, Pareto, sample
from marginquake.sim.scenario.loader import load_scenario

Floats = NDArray[np.float64]
FILES = sorted(PRESETS.glob("*.yaml"))
ACCOUNTS = 3000
PPM = 1_000_000
EFFECTIVE = ("aave_steth_2023", "hl_20251010_winners", "hl_2026_effective", "hyperliquid_2023_liquidated")
"""Presets whose leverage is that of the account (notional / equity), not a setting."""

pytestmark = pytest.mark.model


class Crowds:
    """A small market that holds every preset at once, as seeded at t = 0."""

    def __init__(self, model: MarketModel) -> None:
        (room,) = model.sessions
        self.exchange = room.venue.exchange
        self.table = room.venue.accounts.rows
        self.contract = room.venue.contract
        self.rows = {desk.participant.name: desk.participant.rows for desk in room.participants}

    def leverage(self, name: str) -> Floats:
        """Leverage that each account chose."""
        return np.asarray(PPM / self.table["initial_margin_ppm"][self.rows[name]])

    def notional(self, name: str) -> Floats:
        lots = np.abs(self.table["position_lots"][self.rows[name]])
        return np.asarray(lots * self.contract.notional_per_lot(self.exchange.mark_ticks))

    def effective(self, name: str) -> Floats:
        """Notional over collateral of those with a position (entered at the mark, so that equity is collateral)."""
        notional = self.notional(name)
        held = notional > 0
        collateral = self.table["collateral"][self.rows[name]] * float(self.contract.money_unit)
        return notional[held] / collateral[held]


def market(presets: Mapping[str, Path], accounts: int, *lines: str) -> str:
    entries = [f"  {name}: {{extends: {path}, accounts: {accounts}}}" for name, path in presets.items()]
    return "\n".join(["duration: 1min", "warmup: 0s", *lines, "populations:", "  others: {type: hedger}", *entries])


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> Crowds:
    path = tmp_path_factory.mktemp("presets") / "all.yaml"
    path.write_text(market({file.stem: file for file in FILES}, ACCOUNTS))
    scenario = load_scenario(path, AGENT_TYPES, [f"populations.{f.stem}.initial_open_fraction=100%" for f in FILES])
    return Crowds(MarketModel(scenario, AGENT_TYPES))


def share(condition: NDArray[np.bool_]) -> float:
    return float(condition.mean())


# the figures they cite


def test_binance_2019_trades_has_60_percent_at_20x_or_more_and_21_at_125x(crowds: Crowds) -> None:
    leverage = crowds.leverage("binance_2019_trades")
    assert share(leverage > 19.99) == pytest.approx(0.60, abs=0.03)
    assert share(leverage > 124.9) == pytest.approx(0.21, abs=0.025)


def test_bitmex_2018_2020_calls_accounts_of_60x_on_average(crowds: Crowds) -> None:
    leverage = crowds.leverage("bitmex_2018_2020")
    called = called_within_a_day(leverage, MAINTENANCE["bitmex"])
    assert np.average(leverage, weights=called) == pytest.approx(60, abs=2.5)
    assert leverage.max() <= 100.01


def test_hl_2026_effective_has_a_median_of_2_6(crowds: Crowds) -> None:
    effective = crowds.effective("hl_2026_effective")
    assert np.median(effective) == pytest.approx(2.6, rel=0.07)
    assert np.median(effective[effective > 3.24]) == pytest.approx(5.4, rel=0.15), "liquidation within 30 %"
    assert effective.max() <= 40


def test_hl_20251010_winners_have_the_cited_quartiles(crowds: Crowds) -> None:
    effective = crowds.effective("hl_20251010_winners")
    assert np.quantile(effective, [0.25, 0.5, 0.75, 0.95]) == pytest.approx([0.145, 0.36, 0.82, 3.6], rel=0.15)


def test_post_2021_cap20_is_capped_and_leaves_lower_choices_alone(crowds: Crowds) -> None:
    leverage, detents = crowds.leverage("post_2021_cap20"), crowds.leverage("retail_detents")
    assert leverage.max() <= 20.01
    for bound in (1.5, 4, 15):
        assert share(leverage < bound) == pytest.approx(share(detents < bound), abs=0.04)


def test_retail_detents_are_the_default() -> None:
    path = PRESETS / "retail_detents.yaml"
    scenario = load_scenario(PRESETS.parent / "calm_market.yaml", AGENT_TYPES, [f"populations.retail.extends={path}"])
    assert scenario.populations["retail"].config.leverage == DETENTS


def test_dispersed_control_keeps_the_means_of_the_detents_but_not_their_steps(crowds: Crowds) -> None:
    control = continuous_like(DETENTS, 1, 125)
    assert control.median == pytest.approx(10.39, abs=0.02)
    assert control.sigma == pytest.approx(1.765, abs=0.002)
    drawn, detents = crowds.leverage("dispersed_control"), crowds.leverage("retail_detents")
    assert drawn.mean() == pytest.approx(detents.mean(), rel=0.08)
    assert (drawn**2).mean() / drawn.mean() == pytest.approx((detents**2).mean() / detents.mean(), rel=0.08)
    assert len(np.unique(np.round(detents, 3))) == len(DETENTS.values)
    assert len(np.unique(np.round(drawn, 3))) > 0.8 * ACCOUNTS


def test_aave_steth_2023_has_the_quartiles_of_its_data(crowds: Crowds) -> None:
    effective = crowds.effective("aave_steth_2023")
    assert np.quantile(effective, [0.25, 0.5, 0.75]) == pytest.approx([1.38, 1.71, 2.35], rel=0.06)


def test_hyperliquid_2023_liquidated_stand_at_the_brink(crowds: Crowds) -> None:
    effective = crowds.effective("hyperliquid_2023_liquidated")
    assert np.median(effective) == pytest.approx(105, rel=0.02)
    assert effective.min() > 90


# that they seed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nearly_every_account_is_seeded_and_none_at_once_called(path: Path, crowds: Crowds) -> None:
    rows, mark = crowds.rows[path.stem], crowds.exchange.mark_ticks
    position = crowds.table["position_lots"][rows]
    assert share(position != 0) > 0.97
    liquidation = crowds.table["liquidation_ticks"][rows]
    away = np.sign(position) * (mark - liquidation)
    assert (away[(liquidation > 0) & (position != 0)] >= 0.0039 * mark).all()


@pytest.mark.parametrize("name", EFFECTIVE)
def test_effective_leverage_is_what_was_drawn(name: str, crowds: Crowds) -> None:
    drawn, effective = np.median(crowds.leverage(name)), np.median(crowds.effective(name))
    assert effective == pytest.approx(drawn, rel=0.05)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_preset_alone_meets_a_fuel_ratio_without_warnings(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = tmp_path / "one.yaml"
    scenario.write_text(market({"crowd": path}, 1500, "fuel_ratio: 0.5", "depth_1pct: 12M"))
    with caplog.at_level(logging.WARNING):
        MarketModel(load_scenario(scenario, AGENT_TYPES), AGENT_TYPES)
    assert caplog.messages == []


# what is written about them


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_preset_states_its_source_its_grade_and_its_weights(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# Population: ")
    for pattern in ("^# Source: ", "^# Weights: by count", "[Gg]rade"):
        assert re.search(pattern, text, re.MULTILINE)


def test_the_readme_has_the_figures_of_every_preset() -> None:
    readme = (PRESETS / "README.md").read_text()
    for row in preset_rows():
        name, *figures = re.findall(r"[^|\s]+", row)
        cells = [
            cell.strip() for line in readme.splitlines() if line.startswith(f"| {name} |") for cell in line.split("|")
        ]
        assert cells[-5:-1] == figures, f"write {row}"


# the estimators behind them return known answers


UNIFORMS = Streams(7)["fits"]


def drawn(distribution: Any, size: int = 4000) -> Floats:
    return sample(distribution, UNIFORMS, size)


def test_a_truncated_lognormal_comes_back() -> None:
    truth = Lognormal(median=1.6, sigma=0.5, minimum=1, maximum=6)
    values = drawn(truth)
    fitted = fit_lognormal(values, 1, 6)
    assert (fitted.median, fitted.sigma) == (pytest.approx(1.6, rel=0.05), pytest.approx(0.5, rel=0.06))
    assert ks_distance(values, np.ones_like(values), fitted) < 0.02
    assert ks_distance(values, np.ones_like(values), Lognormal(median=2.5, sigma=0.5, minimum=1, maximum=6)) > 0.2


def test_weights_count_as_multiplicities() -> None:
    values = drawn(Lognormal(median=2, sigma=0.5), 500)
    twice = np.concatenate((values, values[:250]))
    weights = np.where(np.arange(500) < 250, 2.0, 1.0)
    weighted, repeated = fit_lognormal(values, 1e-9, 1e9, weights), fit_lognormal(twice, 1e-9, 1e9)
    assert weighted.median == pytest.approx(repeated.median, rel=1e-3)
    assert weighted.sigma == pytest.approx(repeated.sigma, rel=1e-3)
    assert quantile(values, weights, 0.5) == quantile(twice, np.ones_like(twice), 0.5)


def test_a_beta_comes_back() -> None:
    fitted = fit_beta(drawn(Beta(alpha=0.5, beta=2, low=100, high=125)), 100, 125)
    assert (fitted.alpha, fitted.beta) == (pytest.approx(0.5, rel=0.06), pytest.approx(2, rel=0.1))


def test_a_tail_of_three_and_a_half_comes_back() -> None:
    assert hill(drawn(Pareto(minimum=1, exponent=3.5)), 1000) == pytest.approx(3.5, rel=0.1)
