"""Golden event digests: what every shipped scenario does, event by event.

`event_digests.yaml` is the table.  A digest changes only with a mechanism: then `MODEL_VERSION` goes up, CHANGELOG.md
gets a [RESULTS] line, and `python -m tests.golden "4: which mechanism"` writes the table again.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from marginquake.sim.runs.event_log import NoLog
from marginquake.sim.studies import run as running
from tests.support.paths import ROOT

TABLE = Path(__file__).with_name("event_digests.yaml")
THOROUGH = "MARGINQUAKE_THOROUGH" in os.environ
"""Then the long runs are simulated, too."""


@dataclass(frozen=True)
class Golden:
    """One run, and what it came to."""

    scenario: str
    set: Sequence[str]
    seed: int
    long: bool
    found: Mapping[str, Any]
    moved: str = ""
    """Which `MODEL_VERSION` moved it last, and by which mechanism."""

    @property
    def name(self) -> str:
        """For the report of the tests."""
        words = " ".join((Path(self.scenario).stem, *self.set))
        return f"{words} (long)" if self.long else words


def table() -> list[Golden]:
    """All runs of the table."""
    return [Golden(**row) for row in yaml.safe_load(TABLE.read_text())]


def simulated(case: Golden) -> dict[str, Any]:
    """The same run as it comes out now: its digest, and how much happened."""
    loaded = running.load_scenario(ROOT / case.scenario, case.set)
    summary = running.simulate(loaded, case.seed, open_log=NoLog).summary
    return {key: summary[key] for key in ("event_digest", "events", "margin_calls", "liquidations")}
