"""Rules from outside the repository: one class each, named `module:Class` in YAML, in Python and in sweep workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.rules import MARK_RULES, MarkInputs, MarkRule, register
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.run import load_scenario, simulate
from tests.support.paths import TINY

pytestmark = pytest.mark.model

LAB = '''\
from typing import ClassVar

import numpy as np
from pydantic import Field

from marginquake.agents import Amount, MarketView, OrderEntry, Participant, ParticipantConfig, Side
from marginquake.sim.assets.fundamentals import Fundamental, FundamentalConfig
from marginquake.sim.rules import (
    FundingConfig, FundingInputs, FundingRule, LiquidationConfig, MarkConfig, MarkInputs, MarkRule, Procedure, Ranking,
    RankingConfig, RankingInputs, Standing,
)
from marginquake.sim.scenario.distributions import Distribution


class Shifted(MarkRule):
    """The index, so much higher."""

    class Config(MarkConfig):
        shift: float = Field(0.0, ge=-0.01, le=0.01)

    config: Config

    def update(self, inputs: MarkInputs) -> float:
        return inputs.index_ticks * (1.0 + self.config.shift)


class Flat(FundingRule):
    """The same rate, whatever the book says."""

    class Config(FundingConfig):
        flat: float = 0.001

    def sample(self, inputs: FundingInputs) -> None:
        pass

    def rate(self) -> float:
        return self.config.flat

    def forget(self) -> None:
        pass


class Halves(Procedure):
    """A share of the position each scan."""

    class Config(LiquidationConfig):
        share: float = Field(0.5, gt=0, le=1)

    def order_lots(self, held: Standing):
        return np.maximum(1, np.ceil(held.lots * self.rules.share)).astype(np.int64)

    def gives_up(self, held: Standing):
        return held.bankrupt


class Smallest(Ranking):
    """The smallest position first, to a power."""

    class Config(RankingConfig):
        power: float = 1.0

    def scores(self, inputs: RankingInputs):
        return -(inputs.notional ** self.config.power)


class Sawtooth(Fundamental):
    """Down for `period_s`, and up again."""

    class Config(FundamentalConfig):
        depth: float = 0.02
        period_s: float = 10.0

    def advance(self, now_ns: int) -> float:
        phase = abs((max(now_ns, 0) / 1e9 / self.config.period_s + 1.0) % 2.0 - 1.0)
        return self.context.initial_ticks * (1.0 - self.config.depth * (1.0 - phase))


class TwoPoint(Distribution):
    """Either of two values."""

    low: float
    high: float

    def quantile(self, u):
        return np.where(u < 0.5, self.low, self.high)

    def mean(self):
        return 0.5 * (self.low + self.high)

    def support(self):
        return self.low, self.high


class Dipper(Participant):
    """Buys a little at every step."""

    class Config(ParticipantConfig):
        notional: Amount = 1_000.0

    example: ClassVar = {"type": "my_lab:Dipper"}

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        if market.step < 0:
            return
        lots = max(1, int(self.contract.lots_for(self.config.notional, market.mark_ticks)))
        orders.market(self.rows, Side.BUY, lots)
'''
OWN = """\
extends: base.yaml
duration: 15s
venue:
  mark: {rule: "my_lab:Shifted", shift: 0.001}
  funding: {rule: "my_lab:Flat", flat: 0.002, interval: 5s}
  adl: {ranking: {rule: "my_lab:Smallest", power: 0.5}}
  insurance: {initial: 0}
liquidation: {procedure: "my_lab:Halves", share: 0.25}
index: {fundamental: {type: "my_lab:Sawtooth", depth: 0.04}}
populations:
  crowd: {leverage: {distribution: "my_lab:TwoPoint", low: 40, high: 100}}
  dippers: {type: "my_lab:Dipper", notional: 2k}
"""
SWEEP = """\
question: What does the shift do?
scenario: own.yaml
axes:
  shift: {path: venue.mark.shift, values: [0.0, 0.002]}
seeds: 2
set: [duration=5s]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user's own, somewhere else."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "my_lab.py").write_text(LAB)
    (folder / "base.yaml").write_text(TINY.read_text())
    (folder / "own.yaml").write_text(OWN)
    (folder / "shifts.yaml").write_text(SWEEP)
    return folder


def marginquake(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "marginquake", *arguments]
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_every_kind_of_rule_works_from_outside_and_comes_again_from_its_resolved_scenario(lab: Path) -> None:
    done = marginquake(lab, "run", "own.yaml", "--quiet", "--no-figures", "--check-invariants")
    run = lab / done.stdout.splitlines()[-1]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["margin_calls"] > 0
    assert summary["liquidations"] > 0
    marks = pq.read_table(run / "series.parquet", columns=["mark", "index"]).to_pydict()
    assert np.array(marks["mark"]) / np.array(marks["index"]) == pytest.approx(1.001, abs=1e-4)
    resolved = (run / "scenario.resolved.yaml").read_text()
    for own in (
        "my_lab:Shifted",
        "my_lab:Flat",
        "my_lab:Halves",
        "my_lab:Smallest",
        "my_lab:Sawtooth",
        "my_lab:TwoPoint",
    ):
        assert own in resolved
    assert "power: 0.5" in resolved
    marginquake(lab, "replay", str(run), "--allow-code")


@pytest.mark.slow
def test_two_workers_of_a_sweep_find_them_too(lab: Path) -> None:
    done = marginquake(lab, "sweep", "shifts.yaml", "--workers", "2", "--quiet")
    table = pq.read_table(lab / done.stdout.splitlines()[-1] / "results.parquet").to_pydict()
    assert len(table["seed"]) == 4
    assert len(set(table["event_digest"])) == 4


def test_a_wrong_parameter_of_ones_own_rule_has_its_line(lab: Path) -> None:
    (lab / "wrong.yaml").write_text(OWN.replace("shift: 0.001", "shift: 0.5").replace("flat: 0.002", "falt: 0.002"))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(lab / "wrong.yaml")
    said = str(caught.value)
    assert "wrong.yaml:4: venue.mark.shift: value 0.5: must be at most 0.01" in said
    assert "wrong.yaml:5: venue.funding.falt: unknown field; did you mean 'flat'?" in said


UNFIT = """\
from marginquake.sim.core.fields import Block
from marginquake.sim.rules import MarkRule, Ranking

class Unfinished(MarkRule):
    pass

class Stray(MarkRule):
    class Config(Block):
        weight: float = 1.0
    def update(self, inputs):
        return inputs.index_ticks
"""


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ('mark: {rule: "unfit:Unfinished"}', "venue.mark.rule: value unfit:Unfinished: 'unfit:Unfinished' is no "
         "mark rule yet: it lacks update"),
        ('mark: {rule: "unfit:Stray"}', "the block of 'unfit:Stray' must be a subclass of MarkConfig"),
        ('funding: {rule: "unfit:Stray"}', "is no funding rule: it is not a subclass of FundingRule"),
        ('mark: {rule: "unfit:Nobody"}', "module 'unfit' has no class 'Nobody'"),
        ("mark: {rule: }", "venue.mark.rule: empty; write a value, or remove the line"),
        ("mark: {rule: 3}", "value 3: there is no such mark rule; one of median_of_three, last,"),
        ("adl: {ranking: [binance]}", "venue.adl.ranking: must be a mapping of fields"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_rule_is_refused_when_the_scenario_is_read(tmp_path: Path, block: str, said: str) -> None:
    (tmp_path / "unfit.py").write_text(UNFIT)
    path = tmp_path / "unfit.yaml"
    path.write_text(f"extends: {TINY}\nvenue:\n  {block}\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{path}:3: ")
    assert said in str(problem)


def test_what_only_another_rule_reads_is_accepted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(f"extends: {TINY}\nvenue:\n  mark:\n    rule: last\n    basis_window: 10s\n")
    loaded = load_scenario(path)
    (warning,) = loaded.warnings
    assert str(warning) == (
        f"{path}:5: warning: venue.mark.basis_window: value 10s: not read: the mark rule is last; "
        "median_of_three would read it [no_effect]"
    )
    assert "basis_window" not in loaded.resolved()["venue"]["mark"]


class Low(MarkRule):
    """Registered by a test."""

    def update(self, inputs: MarkInputs) -> float:
        return 0.999 * inputs.index_ticks


def test_a_registered_name_is_written_so_that_another_process_finds_the_class(tmp_path: Path) -> None:
    register("low_of_a_test", Low)
    loaded: Scenario = load_scenario(TINY, ["venue.mark.rule=low_of_a_test", "duration=2s"])
    assert loaded.resolved()["venue"]["mark"]["rule"] == f"{__name__}:Low"
    again = tmp_path / "again.yaml"
    again.write_text(loaded.resolved_yaml())
    digests = [simulate(each, 1).summary["event_digest"] for each in (loaded, load_scenario(again))]
    assert digests[0] == digests[1]
    with pytest.raises(ValueError, match="is a mark rule already"):
        register("last", Low)
    assert MARK_RULES.find("low_of_a_test") is Low
