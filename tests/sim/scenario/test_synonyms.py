"""Words that people write are answered with the field that they mean."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from marginquake.agents import AGENT_TYPES
from marginquake.sim.assets.fundamentals import FUNDAMENTALS, ShockConfig
from marginquake.sim.core.margin import Bracket
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.rules.faults import FAULTS
from marginquake.sim.scenario.config import MarketConfig, ScenarioHead
from marginquake.sim.scenario.synonyms import HINTS, POPULATION, SYNONYMS
from marginquake.sim.studies.run import load_scenario

TOP = {**ScenarioHead.model_fields, **MarketConfig.model_fields}
BESIDE = {"populations", "markets", "extends"}
INNER = (ShockConfig, Bracket, *(rule.config_type for family in (FUNDAMENTALS, FAULTS) for rule in family.values()))


def fields_of(block: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info for name, info in block.model_fields.items()}


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def exists(target: str) -> bool:
    """Whether a path leads to a field of a market, of the head, or of some population."""
    if target.startswith(POPULATION):
        name = target.removeprefix(POPULATION)
        return any(name in fields_of(kind.config_type) for kind in AGENT_TYPES.values())
    first, *rest = target.split(".")
    if first in BESIDE:
        return not rest
    if first not in TOP:  # a field of a block inside
        return not rest and any(first in fields_of(block) for block in INNER)
    models = models_in(TOP[first].annotation)
    for name in rest:
        blocks = [*models, *(rule.config_type for rule in FUNDAMENTALS.values())] if "fundamental" in target else models
        infos = [fields_of(block)[name] for block in blocks if name in fields_of(block)]
        if not infos:
            return False
        models = [model for info in infos for model in models_in(info.annotation)]
    return True


def test_every_field_that_is_suggested_exists() -> None:
    assert [target for targets in SYNONYMS.values() for target in targets if not exists(target)] == []
    assert len(SYNONYMS) > 100
    assert not SYNONYMS.keys() & HINTS.keys()


def test_a_word_is_written_as_it_is_looked_up() -> None:
    for word in (*SYNONYMS, *HINTS):
        assert word == word.casefold().replace("-", "_").replace(" ", "_")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("insurance_fund: 5M", "3: insurance_fund: unknown field; did you mean 'venue.insurance'?"),
        ("Insurance-Fund: 5M", "3: Insurance-Fund: unknown field; did you mean 'venue.insurance'?"),
        ("venue: {insurance_fund: 5M}", "3: venue.insurance_fund: unknown field; did you mean 'insurance'?"),
        ("venue: {maker_fee: 1bps}", "3: venue.maker_fee: unknown field; did you mean 'fees.maker'?"),
        ("fees: {maker: 1bps}", "3: fees: unknown field; did you mean 'venue.fees'?"),
        ("funding_rate: 1bps", "3: funding_rate: unknown field; did you mean 'venue.funding'?"),
        ("liquidation_fee: 1%", "3: liquidation_fee: unknown field; did you mean 'venue.fees.liquidation'?"),
        ("price: 60000", "3: price: unknown field; did you mean 'contract.initial_price'?"),
        ("contract: {price: 60000}", "3: contract.price: unknown field; did you mean 'initial_price'?"),
        ("volatility: 60%", "3: volatility: unknown field; did you mean 'index.fundamental.volatility'?"),
        ("agents: {}", "3: agents: unknown field; did you mean 'populations'?"),
        ("dt: 1s", "3: dt: unknown field; did you mean 'step'?"),
        ("index: {shocks: [{at: 1s, size: -1%}]}", "3: index.shocks.0.size: unknown field; did you mean 'log_return'?"),
        ("symbol: BTCUSDT", "3: symbol: unknown field; a market's name is the word under `markets`"),
        ("contract: {symbol: BTCUSDT}",
         "3: contract.symbol: unknown field; a market's name is the word under `markets`"),
        ("populations: {a: {type: retail, capital: 5k}}",
         "3: populations.a.capital: unknown field; did you mean 'deposit'"),
        ("populations: {a: {type: retail, balance: 5k}}",
         "3: populations.a.balance: unknown field; did you mean 'deposit'"),
        ("populations: {a: {type: retail, n_agents: 5}}",
         "3: populations.a.n_agents: unknown field; did you mean 'accounts'"),
        ("populations: {a: {type: retail, stop_loss: 5%}}",
         "3: populations.a.stop_loss: unknown field; did you mean 'stop_share'"),
        ("populations: {a: {type: retail, leverage_distribution: 5}}",
         "3: populations.a.leverage_distribution: unknown field; did you mean 'leverage'"),
        ("populations: {a: {type: retail, long_share: 60}}",
         "3: populations.a.long_share: value 60: must be at most 1; did you mean '60%'?"),
        ("populations: {a: {type: retail, prevention: {none: 50}}}",
         "3: populations.a.prevention.none: value 50: must be at most 1; did you mean '50%'?"),
        ("populations: {a: {type: retail, stop_distance: {distribution: uniform, minimum: 50, maximum: 80}}}",
         "3: populations.a.stop_distance: all values of the distribution must be at most 1; set its maximum; a bare "
         "number is a share of 1, percent is written 60%"),
        ("venue: {price_band: 10}", "3: venue.price_band: value 10: must be less than 1; did you mean '10%'?"),
        ("venue: {insurance: {initial: -10}}", "3: venue.insurance.initial: value -10: must be at least 0"),
        ("seed: abc", "3: seed: value abc: must be a whole number"),
    ],
)  # fmt: skip
def test_a_word_that_people_write_gets_a_suggestion(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"duration: 1min\nwarmup: 10s\n{text}\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    messages = [str(problem) for problem in caught.value.problems]
    assert any(message.startswith(f"{path}:{said}") for message in messages), messages


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\tduration: 1min\n", 1),
        ("duration: 1min\nvenue:\n\tfees: {}\n", 3),
        ("duration: 1min\nvenue:\n  fees:\n  \tmaker: 1bps\n", 4),
        ("duration: 1min\npopulations:\n  a:\n    type: retail\n\taccounts: 5\n", 5),
        ("duration: 1min\nindex:\n  shocks:\n\t- {at: 1s, log_return: 1%}\n", 4),
    ],
)
def test_a_tab_is_called_a_tab(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "tab.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert str(caught.value) == f"{path}:{line}: a tab; YAML indents with spaces: write those instead"
