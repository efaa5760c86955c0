"""`python -m benchmarks.fit_populations [DATA]`: where the numbers in scenarios/populations/ come from.

Prints the parameters that were solved for (no data needed) and the table of presets; with the folder of account data,
which is not redistributed, also the fits.  Nothing is written: presets are edited by hand, with their source.
"""

import argparse
import csv
import gzip
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES
from marginquake.sim.market.streams import Streams
from marginquake.sim.scenario.distributions import Beta, Buckets, Distribution, Lognormal
from marginquake.sim.scenario.loader import load_scenario

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "scenarios" / "populations"
DETENTS: Final[Buckets] = AGENT_TYPES["retail"].config_type.model_fields["leverage"].default
MAINTENANCE: Final = {"binance": 0.004, "bitmex": 0.005}
"""Of the first bracket: Binance BTCUSDT, BitMEX XBTUSD."""
DAILY_SIGMA: Final = 0.04
"""Of Bitcoin, ordinary; grade D."""
GRID: Final = (np.arange(20_000) + 0.5) / 20_000

Floats: TypeAlias = NDArray[np.float64]
Fit: TypeAlias = Callable[[Floats], Distribution]


# ---- weighted samples -----------------------------------------------------------------------------------------------


def quantile(values: Floats, weights: Floats, probability: float) -> float:
    """The smallest value with at least this share of the weight at or below it."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(share, probability)])


def hill(values: Floats, count: int) -> float:
    """Tail exponent from the `count` largest values (Hill 1975); its standard error is exponent / sqrt(count)."""
    largest = np.sort(values)[::-1]
    return count / float(np.log(largest[:count] / largest[count]).sum())


def ks_distance(values: Floats, weights: Floats, fitted: Distribution) -> float:
    """Kolmogorov-Smirnov distance of a weighted sample from a distribution."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    model = np.interp(values[order], fitted.quantile(GRID), GRID)
    return float(max(np.abs(share - model).max(), np.abs(np.concatenate(([0.0], share[:-1])) - model).max()))


def bootstrap_p(values: Floats, fit: Fit, rounds: int = 200) -> float:
    """P(distance at least as large) were the fit true; it is fitted again to each of `rounds` samples of itself."""
    ones = np.ones(len(values))
    fitted = fit(values)
    observed = ks_distance(values, ones, fitted)
    stream = Streams(1)["fit_populations"]
    samples = (fitted.quantile(stream.uniform(i, len(values))) for i in range(rounds))
    return sum(ks_distance(sample, ones, fit(sample)) >= observed for sample in samples) / rounds


def fit_lognormal(values: Floats, low: float, high: float, weights: Floats | None = None) -> Lognormal:
    """Maximum likelihood between `low` and `high`; weights count as multiplicities."""
    from scipy.optimize import minimize
    from scipy.special import ndtr

    logs = np.log(values)
    ends = np.log([low, high])

    def loss(guess: Floats) -> float:
        mean, sigma = guess[0], math.exp(guess[1])
        first, last = ndtr((ends - mean) / sigma)
        density = -0.5 * ((logs - mean) / sigma) ** 2 - guess[1] - math.log(max(last - first, 1e-300))
        return -float(np.average(density, weights=weights))

    best = minimize(loss, [logs.mean(), math.log(logs.std())], method="Nelder-Mead").x
    return Lognormal(median=math.exp(best[0]), sigma=math.exp(best[1]), minimum=low, maximum=high)


def fit_beta(values: Floats, low: float, high: float) -> Beta:
    """Maximum likelihood of the shape; the ends are given."""
    from scipy.optimize import minimize
    from scipy.special import betaln

    unit = (values - low) / (high - low)
    logs, rest = np.log(unit).mean(), np.log1p(-unit).mean()

    def loss(guess: Floats) -> float:
        alpha, beta = np.exp(guess)
        return float(betaln(alpha, beta) - (alpha - 1) * logs - (beta - 1) * rest)

    alpha, beta = np.exp(minimize(loss, [0.0, 0.0], method="Nelder-Mead").x)
    return Beta(alpha=float(alpha), beta=float(beta), low=low, high=high)


# ---- what was solved for --------------------------------------------------------------------------------------------


def called_within_a_day(leverage: Floats, maintenance: float, sigma: float = DAILY_SIGMA) -> Floats:
    """P(a driftless Brownian price reaches the liquidation price of a fresh isolated long within a day)."""
    from scipy.special import ndtr

    distance = np.maximum((1 / leverage - maintenance) / (1 - maintenance), 0.0)
    return np.asarray(2 * ndtr(-distance / sigma))


def tilted_to_called_mean(target: float, maintenance: float) -> Buckets:
    """The retail detents up to 100x, weights times leverage**a, such that called accounts average `target`."""
    from scipy.optimize import brentq

    values = np.array([value for value in DETENTS.values if value <= 100])
    base = np.array((DETENTS.weights or ())[: len(values)])
    called = called_within_a_day(values, maintenance)

    def mean_called(exponent: float) -> float:
        return float(np.average(values, weights=base * values**exponent * called)) - target

    weights = base * values ** brentq(mean_called, -3, 3)
    return Buckets(values=tuple(values), weights=tuple(weights / weights.sum()))


def continuous_like(model: Buckets, low: float, high: float) -> Lognormal:
    """A truncated lognormal with the mean and the mean square of `model`: by count and by notional the same mean."""
    from scipy.optimize import root

    values, weights = np.array(model.values), model.weights
    wanted = np.array([np.average(values, weights=weights), np.average(values**2, weights=weights)])

    def miss(guess: Floats) -> Floats:
        drawn = _lognormal(guess, low, high).quantile(GRID)
        missed: Floats = np.array([drawn.mean(), (drawn**2).mean()]) / wanted - 1
        return missed

    return _lognormal(root(miss, [math.log(10.0), 0.0]).x, low, high)


def through_quantiles(quantiles: Mapping[float, float], minimum: float, maximum: float) -> Lognormal:
    """The lognormal with the cited median whose logarithm misses the other cited quantiles least, in squares."""
    from scipy.special import ndtri

    deviates = ndtri(np.array(list(quantiles)))
    logs = np.log(np.array(list(quantiles.values())) / quantiles[0.5])
    sigma = float(deviates @ logs / (deviates @ deviates))
    return Lognormal(median=quantiles[0.5], sigma=sigma, minimum=minimum, maximum=maximum)


def _lognormal(guess: Floats, low: float, high: float) -> Lognormal:
    return Lognormal(median=math.exp(guess[0]), sigma=math.exp(guess[1]), minimum=low, maximum=high)


# ---- the presets ----------------------------------------------------------------------------------------------------


def load_preset(path: Path) -> Any:
    """The retail config that a preset gives."""
    scenario = load_scenario(
        ROOT / "scenarios" / "calm_market.yaml", AGENT_TYPES, [f"populations.retail={{extends: {path}}}"]
    )
    return scenario.populations["retail"].config


def leverage_by_count_and_notional(leverage: Distribution) -> tuple[float, float, float, float]:
    """Mean and median over accounts; mean and median over notional if deposits do not depend on leverage."""
    drawn = leverage.quantile(GRID)
    same = np.ones_like(drawn)
    return (
        float(drawn.mean()),
        quantile(drawn, same, 0.5),
        float(np.average(drawn, weights=drawn)),
        quantile(drawn, drawn, 0.5),
    )


def preset_rows() -> Iterator[str]:
    """`name | mean | median | mean | median` as in the table of scenarios/populations/README.md."""
    for path in sorted(PRESETS.glob("*.yaml")):
        figures = leverage_by_count_and_notional(load_preset(path).leverage)
        yield f"| `{path.stem}` | " + " | ".join(f"{figure:.3g}" for figure in figures) + " |"


# ---- the data -------------------------------------------------------------------------------------------------------


def read_columns(path: Path, *names: str) -> list[Floats]:
    """Columns of numbers of a CSV file, packed or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as stream:
        rows = list(csv.DictReader(stream))
    return [np.array([float(row[name]) for row in rows]) for name in names]


def report_aave(folder: Path) -> None:
    """Aave v2 accounts with stETH as collateral, June 2023."""
    path = folder / "aave_steth_positions_2023-06" / "aave_v2_steth_positions.csv.gz"
    collateral, debt, health, ether = read_columns(path, "collateral", "debt", "healthf", "ethdebt")
    equity = collateral - debt
    leverage = collateral / equity
    kept = leverage < 6
    print(f"Aave v2 stETH: {len(leverage)} accounts, {kept.sum()} below 6x")
    print_sample("leverage by count", leverage, np.ones_like(leverage))
    print_sample("leverage by notional", leverage, collateral)
    print_sample("leverage by equity", leverage, equity)
    loops = ether > 0.5 * debt
    for name, chosen in (("debt mostly ether", loops), ("other debt", ~loops)):
        print(
            f"  {name}: {chosen.mean():.3f} of accounts, {collateral[chosen].sum() / collateral.sum():.3f} of notional"
        )
        print_sample("leverage by count", leverage[chosen], np.ones(chosen.sum()))
        print_sample("leverage by notional", leverage[chosen], collateral[chosen])
    by_count = fit_lognormal(leverage[kept], 1, 6)
    by_notional = fit_lognormal(leverage[kept], 1, 6, collateral[kept])
    print_fit("leverage by count", leverage[kept], by_count, lambda sample: fit_lognormal(sample, 1, 6))
    print(f"  leverage by notional {by_notional}, KS {ks_distance(leverage[kept], collateral[kept], by_notional):.3f}")
    excess = health[(health > 1) & (health < 50)] - 1
    above = (excess.min() * 0.999, 49.0)
    print_fit("health factor - 1", excess, fit_lognormal(excess, *above), lambda sample: fit_lognormal(sample, *above))
    print_sample("health factor by count", health, np.ones_like(health))
    print_sample("health factor by notional", health, collateral)
    print_tail("equity", equity, (26, 65, 130))


def report_hyperliquid(folder: Path) -> None:
    """Liquidations of the Hyperliquid closed beta, February to May 2023."""
    names = ("eff_leverage_at_liq", "liquidated_ntl_pos", "liquidated_account_value")
    leverage, notional, value = read_columns(folder / "hyperliquid_2023" / "liquidations.csv", *names)
    kept = leverage >= 100
    print(f"Hyperliquid 2023: {len(leverage)} liquidations, {kept.sum()} at 100x or more")
    print_sample("leverage by count", leverage[kept], np.ones(kept.sum()))
    print_sample("leverage by notional", leverage[kept], notional[kept])
    for high in (125, 400):
        below = leverage[kept & (leverage <= high)]

        def fit(sample: Floats, high: float = high) -> Beta:
            return fit_beta(sample, 100, high)

        print_fit(f"leverage up to {high}x", below, fit(below), fit)
    for name, sizes in (("account value", value[kept]), ("notional", notional[kept])):
        print_fit(name, sizes, fit_lognormal(sizes, 1e-3, 1e9), lambda sample: fit_lognormal(sample, 1e-3, 1e9))
        print_tail(name, sizes, (6, 10, 15, 20))


def print_sample(name: str, values: Floats, weights: Floats) -> None:
    """Mean and quantiles of a weighted sample."""
    cut = " ".join(f"{quantile(values, weights, p):.3g}" for p in (0.05, 0.25, 0.5, 0.75, 0.95))
    print(f"  {name}: mean {np.average(values, weights=weights):.3g}; 5, 25, 50, 75, 95 %: {cut}")


def print_fit(name: str, values: Floats, fitted: Distribution, fit: Fit) -> None:
    """A fit with its distance and the bootstrap's judgement."""
    distance = ks_distance(values, np.ones(len(values)), fitted)
    print(f"  {name}: {fitted!r}, n {len(values)}, KS {distance:.3f}, p {bootstrap_p(values, fit):.2f}")


def print_tail(name: str, values: Floats, counts: tuple[int, ...]) -> None:
    """Hill estimates over several shares of the sample."""
    tails = ", ".join(f"{hill(values, k):.2f} +- {hill(values, k) / math.sqrt(k):.2f} (top {k})" for k in counts)
    print(f"  tail exponent of {name}: {tails}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="folder with the account data")
    folder: Path | None = parser.parse_args().data
    called = tilted_to_called_mean(60.0, MAINTENANCE["bitmex"])
    values, weights = np.array(called.values), np.array(called.weights)
    share = np.average(called_within_a_day(values, MAINTENANCE["bitmex"]), weights=weights * values)
    print("bitmex_2018_2020", called, f"called within a day, by notional: {share:.3f}")
    print("dispersed_control", continuous_like(DETENTS, 1, 125))
    cited = {0.25: 0.145, 0.5: 0.36, 0.75: 0.82, 0.95: 3.6}
    print("hl_20251010_winners", through_quantiles(cited, 0.01, 40))
    print(*preset_rows(), sep="\n")
    if folder is not None:
        report_aave(folder)
        report_hyperliquid(folder)


if __name__ == "__main__":
    main()
