"""The schema that editors complete from."""

import json
import re
from typing import Any

from marginquake.sim.scenario.distributions import DISTRIBUTIONS
from marginquake.sim.scenario.schema import scenario_schema
from tests.support.fake_participants import FAKE_TYPES
from tests.support.paths import SCENARIOS

COMMITTED = SCENARIOS / "scenario.schema.json"
REFRESH = "marginquake schema --output scenarios/scenario.schema.json"


def test_the_committed_schema_is_fresh() -> None:
    from marginquake.agents import AGENT_TYPES

    assert COMMITTED.is_file(), f"write it with: {REFRESH}"
    fresh = json.loads(json.dumps(scenario_schema(AGENT_TYPES)))
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == fresh, f"refresh it with: {REFRESH}"


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set[str]()
        return own.union(*map(references, part.values()))
    return set[str]().union(*map(references, part)) if isinstance(part, list) else set()


def keys(part: Any) -> set[str]:
    if isinstance(part, dict):
        return set(part).union(*map(keys, part.values()))
    return set[str]().union(*map(keys, part)) if isinstance(part, list) else set()


def test_every_reference_leads_somewhere() -> None:
    schema = scenario_schema(FAKE_TYPES)
    definitions = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert references(schema) <= definitions
    assert not keys(schema) & {"x-unit", "x-trait", "gt", "ge", "lt", "le", "oneOf"}


def test_populations_are_told_apart_by_type() -> None:
    population = scenario_schema(FAKE_TYPES)["$defs"]["Population"]
    assert population["properties"]["type"]["anyOf"][0] == {"enum": ["hedger", "market_maker", "retail"]}
    configs = [rule["then"]["$ref"].removeprefix("#/$defs/") for rule in population["allOf"]]
    assert configs == ["FakeConfig", "MakerConfig", "RetailConfig"]


def test_rules_are_completed_by_name() -> None:
    schema = scenario_schema(FAKE_TYPES)
    definitions = schema["$defs"]
    for family, name in (
        ("Procedure", "sliced"),
        ("MarkRule", "last"),
        ("FundingRule", "dydx"),
        ("Trigger", "fund_empty"),
    ):
        properties = definitions[family]["properties"]
        key = next(key for key in ("rule", "procedure", "trigger") if key in properties)
        assert name in properties[key]["anyOf"][0]["enum"]
    assert "binance" in definitions["Ranking"]["anyOf"][0]["enum"]
    assert definitions["MarkRule"]["properties"]["basis_limit"]["description"].startswith("index_plus_basis: ")


def test_the_schema_takes_the_fields_of_a_whole_family_and_of_a_class_of_the_user_anything() -> None:
    """As the loader does: what only another rule reads may stand there, a typo may not."""
    mark = scenario_schema(FAKE_TYPES)["$defs"]["MarkRule"]
    assert set(mark["else"]["propertyNames"]["enum"]) == set(mark["properties"]) >= {"basis_window", "outside_perps"}
    assert mark["then"] is True
    assert re.fullmatch(mark["if"]["properties"]["rule"]["pattern"], "my_lab.marks:Slow")
    assert not re.fullmatch(mark["if"]["properties"]["rule"]["pattern"], "lats")


def test_traits_offer_every_distribution_in_their_unit() -> None:
    definitions = scenario_schema(FAKE_TYPES)["$defs"]
    latency = definitions["RetailConfig"]["properties"]["latency"]
    assert {"$ref": "#/$defs/duration_distribution"} in latency["anyOf"]
    assert latency["default"] == "50ms"
    rules = definitions["duration_distribution"]["allOf"]
    assert [rule["if"]["properties"]["distribution"]["const"] for rule in rules] == list(DISTRIBUTIONS)
    normal = next(rule["then"] for rule in rules if rule["if"]["properties"]["distribution"]["const"] == "normal")
    assert normal["properties"]["mean"] == {"$ref": "#/$defs/duration"}


def test_only_list_items_require_fields() -> None:
    definitions = scenario_schema(FAKE_TYPES)["$defs"]
    assert definitions["Bracket"]["required"] == ["notional_cap", "max_leverage", "maintenance"]
    assert "required" not in definitions["MakerConfig"]
