"""What a check of unlikely settings is given: one market with everybody in it, and where each field is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.config import MarketConfig, ScenarioHead
from marginquake.sim.scenario.places import Places
from marginquake.sim.scenario.yaml_tree import Path_


@final
@dataclass(frozen=True, slots=True)
class MarketLook:
    """`populations`: class and config by name, of this market only."""

    market: MarketConfig
    head: ScenarioHead
    populations: Mapping[str, tuple[Callable[..., Any], Any]]
    places: Places

    def warn(self, name: str, path: Path_, message: str, way_out: str, value: str | None = None) -> ScenarioWarning:
        """A warning about a field; `value`: what it is where nobody wrote it."""
        return self.places.warning(name, self.market.name, path, message, way_out, value)

    def is_written(self, path: Path_) -> bool:
        """Whether the scenario says this field; False where it is a default."""
        return self.places.find(self.market.name, path).is_written
