"""Traits: every distribution against closed forms, and against its own quantiles."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError
from scipy import stats
from scipy.integrate import quad

from marginquake.sim.core.fields import WRITTEN, Amount, Block, Duration, Fraction
from marginquake.sim.market.streams import Stream
from marginquake.sim.scenario.distributions import (
    DISTRIBUTIONS,
    Beta,
    Buckets,
    Constant,
    Continuous,
    Distribution,
    Empirical,
    Exponential,
    Lognormal,
    Normal,
    Pareto,
    Trait,
    Uniform,
    mean,
    sample,
    trait_fields,
)
from marginquake.sim.scenario.loader import load_scenario
from tests.support.fake_participants import FAKE_TYPES
from tests.support.paths import DOCS

U = (np.arange(2000) + 0.5) / 2000
STREAM = Stream(7, "test/traits")


class Traits(Block):
    deposit: Trait[Amount] = Field(1e9, gt=0)
    latency: Trait[Duration] = Field(50_000_000, ge=0)
    leverage: Trait[float] = 1.0
    distance: Trait[Fraction] | None = None


def read(**fields: Any) -> Traits:
    return Traits.model_validate(fields, context=WRITTEN)


# A distribution, and the same one by scipy.stats before truncation.
PAIRS: dict[str, tuple[Distribution, Any]] = {
    "uniform": (Uniform(minimum=-1, maximum=3), stats.uniform(-1, 4)),
    "normal": (Normal(mean=2, deviation=3), stats.norm(2, 3)),
    "normal cut below": (Normal(mean=2, deviation=3, minimum=0), stats.norm(2, 3)),
    "normal cut on both sides": (Normal(mean=2, deviation=3, minimum=1, maximum=2.5), stats.norm(2, 3)),
    "normal far in the tail": (Normal(mean=0, deviation=1, minimum=6, maximum=9), stats.norm(0, 1)),
    "lognormal": (Lognormal(median=5, sigma=0.8), stats.lognorm(0.8, scale=5)),
    "lognormal cut": (Lognormal(median=5, sigma=1.5, minimum=1, maximum=125), stats.lognorm(1.5, scale=5)),
    "exponential": (Exponential(mean=4), stats.expon(scale=4)),
    "exponential cut": (Exponential(mean=4, minimum=1, maximum=5), stats.expon(scale=4)),
    "beta": (Beta(alpha=2, beta=5), stats.beta(2, 5)),
    "beta stretched": (Beta(alpha=2, beta=0.5, low=1, high=125), stats.beta(2, 0.5, loc=1, scale=124)),
    "beta cut": (Beta(alpha=2, beta=5, minimum=0.1, maximum=0.3), stats.beta(2, 5)),
    "pareto": (Pareto(minimum=2, exponent=2.5), stats.pareto(2.5, scale=2)),
    "pareto cut": (Pareto(minimum=2, exponent=1.1, maximum=500), stats.pareto(1.1, scale=2)),
    "pareto cut with exponent 1": (Pareto(minimum=2, exponent=1, maximum=500), stats.pareto(1, scale=2)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_quantiles_are_those_of_scipy(name: str) -> None:
    ours, theirs = PAIRS[name]
    low, high = ours.support()
    if "tail" in name:
        wanted = theirs.isf(theirs.sf(low) - U * (theirs.sf(low) - theirs.sf(high)))
    else:
        wanted = theirs.ppf(theirs.cdf(low) + U * (theirs.cdf(high) - theirs.cdf(low)))
    np.testing.assert_allclose(ours.quantile(U), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_the_mean_is_the_integral_of_the_quantiles(name: str) -> None:
    ours, _ = PAIRS[name]

    def quantile(u: float) -> float:
        return float(ours.quantile(np.array([u]))[0])

    integral = sum(
        quad(quantile, a, b, limit=400)[0] for a, b in ((0, 0.01), (0.01, 0.99), (0.99, 0.9999), (0.9999, 1))
    )
    assert ours.mean() == pytest.approx(integral, rel=2e-3 if name == "pareto" else 1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_samples_stay_inside_and_have_the_mean(name: str) -> None:
    ours, _ = PAIRS[name]
    values = sample(ours, STREAM, 40_000, counter=3)
    low, high = ours.support()
    assert low <= values.min()
    assert values.max() <= high
    assert abs(values.mean() - ours.mean()) < 5 * values.std() / 200


def test_every_distribution_has_a_mean_that_is_tested() -> None:
    tested = {pair[0].distribution for pair in PAIRS.values()} | {"constant", "buckets", "empirical"}
    assert tested == set(DISTRIBUTIONS)


def test_a_number_is_a_trait() -> None:
    assert sample(3, STREAM, 4).tolist() == [3.0] * 4
    assert sample(Constant(value=2.5), STREAM, 2).tolist() == [2.5, 2.5]
    assert mean(3) == 3
    assert mean(Constant(value=2.5)) == 2.5


def test_an_account_keeps_its_draw_whatever_the_size() -> None:
    trait = Lognormal(median=5, sigma=1)
    assert sample(trait, STREAM, 10).tolist() == sample(trait, STREAM, 1000)[:10].tolist()
    assert sample(trait, STREAM, 10, counter=1).tolist() != sample(trait, STREAM, 10).tolist()


def test_degenerate_shapes_are_points() -> None:
    assert Normal(mean=2, deviation=0).quantile(U).tolist() == [2.0] * len(U)
    assert Normal(mean=2, deviation=0).mean() == 2
    assert Lognormal(median=2, sigma=0).quantile(U).tolist() == [2.0] * len(U)
    assert Lognormal(median=2, sigma=0).mean() == 2
    with pytest.raises(ValidationError, match="no values are left"):
        Normal(mean=2, deviation=0, minimum=3)


def test_a_pareto_without_mean_says_so() -> None:
    assert Pareto(minimum=1, exponent=1).mean() == math.inf
    assert Pareto(minimum=1, exponent=0.5).mean() == math.inf
    assert Pareto(minimum=1, exponent=1 + 1e-9, maximum=100).mean() == pytest.approx(
        Pareto(minimum=1, exponent=1, maximum=100).mean()
    )


def test_buckets_come_in_proportion_to_their_weights() -> None:
    trait = Buckets(values=(1, 5, 20, 125), weights=(0, 1, 3, 0))
    values = trait.quantile(U)
    assert set(values) == {5.0, 20.0}
    assert (values == 5).mean() == 0.25
    assert trait.mean() == pytest.approx((5 + 60) / 4)
    assert trait.support() == (1, 125)
    assert Buckets(values=(1, 2)).mean() == 1.5
    scaled = Buckets(values=(1, 2), weights=(1, 3), mean=7)
    assert (scaled.mean(), scaled.support()) == (7, (4, 8))
    assert scaled.quantile(np.array([0.1, 0.9])).tolist() == [4, 8]
    with pytest.raises(ValueError, match="cannot be scaled"):
        Buckets(values=(-1, 1), mean=7)
    assert Buckets(values=(1, 2)).quantile(np.array([1 - 2**-53])).tolist() == [2.0]


def test_empirical_values_come_from_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "positions.csv"
    path.write_text("leverage,count\n20,1\n5,3\n")
    plain = Empirical(file=str(path), column="leverage")
    weighted = Empirical(file=str(path), column="leverage", weight_column="count")
    assert sorted(set(plain.quantile(U))) == [5.0, 20.0]
    assert plain.mean() == 12.5
    assert weighted.mean() == pytest.approx(8.75)
    assert (weighted.quantile(U) == 5).mean() == 0.75
    assert np.all(np.diff(weighted.quantile(U)) >= 0)
    seconds = Empirical(file=str(path), column="leverage", unit=1e9)
    assert seconds.mean() == 12.5e9
    assert seconds.support() == (5e9, 20e9)


def test_parameters_are_read_in_the_unit_of_the_trait() -> None:
    traits = read(
        deposit={"distribution": "lognormal", "median": "2k", "sigma": 1.2, "maximum": "1M"},
        latency={"distribution": "normal", "mean": "50ms", "deviation": "10ms", "minimum": "1ms"},
        leverage={"distribution": "buckets", "values": [1, 5, 20]},
        distance={"distribution": "uniform", "minimum": "50bps", "maximum": "2%"},
    )
    assert traits.deposit == Lognormal(median=2000, sigma=1.2, maximum=1e6)
    assert traits.latency == Normal(mean=50e6, deviation=10e6, minimum=1e6)
    assert traits.distance == Uniform(minimum=0.005, maximum=0.02)
    dumped = traits.model_dump(mode="json")
    assert dumped["latency"]["mean"] == "50ms"
    assert read(**dumped) == traits


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"latency": 5}, ("latency",)),
        ({"latency": {"distribution": "uniform", "minimum": 1, "maximum": "2s"}}, ("latency", "minimum")),
        ({"leverage": {"distribution": "normal", "mean": 5, "deviation": -1}}, ("leverage", "deviation")),
        ({"leverage": {"distribution": "nomral", "mean": 5}}, ("leverage", "distribution")),
        ({"leverage": {"distribution": "buckets", "values": [1, "x"]}}, ("leverage", "values", 1)),
        ({"leverage": {"distribution": "beta", "alpha": 1, "beta": 1, "low": 3, "high": 2}}, ("leverage",)),
        ({"leverage": {"mean": 5}}, ("leverage",)),
        ({"leverage": True}, ("leverage",)),
        ({"deposit": "-1k"}, ("deposit",)),
        ({"deposit": {"distribution": "normal", "mean": "1k", "deviation": "1k"}}, ("deposit",)),
    ],
)
def test_what_is_wrong_is_found_at_its_place(fields: dict[str, Any], path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        read(**fields)
    assert [error["loc"] for error in caught.value.errors()] == [path]


def test_bounds_of_a_trait_hold_for_all_values_of_its_distribution() -> None:
    for inside in (Lognormal(median=1, sigma=3), Exponential(mean=1), Normal(mean=1, deviation=1, minimum=0.1)):
        assert Traits(deposit=inside).deposit == inside
    with pytest.raises(ValidationError):
        Traits(deposit=Normal(mean=1, deviation=1))


class TwoPoints(Distribution):
    """A distribution of the user."""

    distribution: str
    first: float
    second: float

    def quantile(self, u: Any) -> Any:
        return np.where(u < 0.5, self.first, self.second)

    def mean(self) -> float:
        return (self.first + self.second) / 2

    def support(self) -> tuple[float, float]:
        return min(self.first, self.second), max(self.first, self.second)


def test_a_user_may_bring_a_distribution() -> None:
    name = "tests.sim.scenario.test_distributions:TwoPoints"
    traits = read(leverage={"distribution": name, "first": 1, "second": 3})
    assert mean(traits.leverage) == 2
    assert read(**traits.model_dump(mode="json")) == traits
    with pytest.raises(ValidationError, match="is not a subclass"):
        read(leverage={"distribution": "tests.sim.scenario.test_distributions:Traits"})


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.01, 1e6),
    st.floats(0.01, 3),
    st.floats(0.001, 1e3),
    st.floats(1.001, 1e4),
    st.sampled_from(["lognormal", "exponential", "pareto", "normal"]),
)
def test_truncation_keeps_order_and_bounds(scale: float, shape: float, low: float, ratio: float, kind: str) -> None:
    low, high = low * scale, low * scale * ratio
    cut = {"minimum": low, "maximum": high}
    try:
        trait: Distribution = {
            "lognormal": lambda: Lognormal(median=scale, sigma=shape, **cut),
            "exponential": lambda: Exponential(mean=scale, **cut),
            "pareto": lambda: Pareto(exponent=shape, **cut),
            "normal": lambda: Normal(mean=scale, deviation=scale * shape, **cut),
        }[kind]()
    except ValidationError as error:
        assert "no probability is left" in str(error)  # noqa: PT017
        return
    values = trait.quantile(U)
    assert np.all(np.diff(values) >= 0)
    assert low <= values[0]
    assert values[-1] <= high
    assert low <= trait.mean() <= high * (1 + 1e-9)


UNITS_PAGE = DOCS / "units.md"


def documented_rows() -> dict[str, str]:
    """Distribution name -> the parameters cell of its row in docs/units.md."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", UNITS_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(rows)


def test_the_docs_list_every_distribution_and_its_parameters() -> None:
    rows = documented_rows()
    assert list(rows) == list(DISTRIBUTIONS)
    for name, cell in rows.items():
        kind = DISTRIBUTIONS[name]
        truncation = {"minimum", "maximum"} if issubclass(kind, Continuous) else set()
        fields = {field.alias or key for key, field in kind.model_fields.items()} - {"distribution"}
        documented = {re.sub(r"\W.*", "", part.strip()) for part in cell.split(",")}
        assert documented | truncation == fields, name
        starred = {re.sub(r"\W.*", "", part.strip()) for part in cell.split(",") if "*" in part}
        assert starred | truncation == trait_fields(kind), name


def test_the_examples_of_the_docs_are_valid(tmp_path: Path) -> None:
    (tmp_path / "leverage.csv").write_text("leverage,accounts\n5,10\n")
    text = UNITS_PAGE.read_text(encoding="utf-8")
    examples = re.findall(r"^\w+: \{distribution: .*\}$", text, flags=re.MULTILINE)
    seen = set()
    for example in examples:
        name, _, value = example.replace("data/leverage.csv", str(tmp_path / "leverage.csv")).partition(": ")
        path = tmp_path / "example.yaml"
        path.write_text(f"duration: 1min\npopulations: {{longs: {{type: retail, {name}: {value}}}}}\n")
        scenario = load_scenario(path, FAKE_TYPES)
        seen.add(getattr(scenario.populations["longs"].config, name).distribution)
    assert seen == set(DISTRIBUTIONS)
