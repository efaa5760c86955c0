"""From YAML to a resolved scenario: merging, overrides, markets, the way back, the digest."""

import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginquake.sim.assets.fundamentals import GbmConfig
from marginquake.sim.assets.price_path import ReplayConfig
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.scenario.distributions import Empirical, Lognormal, Uniform
from marginquake.sim.scenario.extends import read_source
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.scenario.yaml_tree import dump
from tests.support.fake_participants import FAKE_TYPES, Retail
from tests.support.paths import ROOT

BASE = """\
question: What happens?
duration: 10min
venue:
  fees: {maker: 1bps, taker: 5bps}
  price_band: 5%
index: {fundamental: {volatility: 80%}}
populations:
  longs:
    type: retail
    accounts: 2000
    leverage: {distribution: lognormal, median: 5, sigma: 1}
    latency: 100ms
  makers: {type: market_maker, spread: 2bps}
"""


class Folder:
    """Writes scenario files and loads them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("base", BASE)

    def write(self, name: str, text: str) -> Path:
        path = self.path / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, text: str, *overrides: str, name: str = "child") -> Scenario:
        return load_scenario(self.write(name, text), FAKE_TYPES, overrides)

    def base(self, *overrides: str) -> Scenario:
        return load_scenario(self.path / "base.yaml", FAKE_TYPES, overrides)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_scenario_is_resolved(folder: Folder) -> None:
    scenario = folder.base()
    assert (scenario.name, scenario.question, scenario.seed) == ("base", "What happens?", 1)
    assert (scenario.duration, scenario.warmup, scenario.step) == (600 * 10**9, 60 * 10**9, 10**8)
    assert (scenario.steps, scenario.warmup_steps) == (6600, 600)
    (market,) = scenario.markets
    assert market.name == "main"
    assert market is scenario.market("main")
    assert (market.venue.fees.maker, market.venue.price_band) == (0.0001, 0.05)
    assert market.index.fundamental == GbmConfig(volatility=0.8)
    assert list(scenario.populations) == ["longs", "makers"]
    longs = scenario.populations["longs"]
    assert longs.participant_class is Retail
    assert (longs.name, longs.type, longs.market) == ("longs", "retail", "main")
    assert longs.config.leverage == Lognormal(median=5, sigma=1)
    assert longs.config.latency == 10**8
    assert scenario.source_text == BASE


def test_the_smallest_scenario_has_all_defaults(folder: Folder) -> None:
    scenario = folder.load("duration: 1min\n")
    assert scenario.markets == (MarketConfig(name="main"),)
    assert scenario.populations == {}


def test_a_scenario_is_frozen(folder: Folder) -> None:
    scenario = folder.base()
    with pytest.raises(AttributeError):
        scenario.seed = 3  # type: ignore[misc]


# YAML as people mean it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("1_000", "1_000"),
        ("2024-08-05", "2024-08-05"),
        ("~", None),
        ("TRUE", True),
        ("'5'", "5"),
        ("!!str 5", "5"),
        (".5", 0.5),
        ("+1.", 1.0),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(folder: Folder, text: str, value: Any) -> None:
    source = read_source(folder.write("scalars", f"on: {text}\n"))
    assert source.root.plain() == {"on": value}
    assert type(source.root.plain()["on"]) is type(value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=12,
)
TRAPS = st.sampled_from(
    ["no", "on", "1e-4", "12:30", "0o17", "null", "~", "<<", "=", "2ms", "1_000", ".inf", "- a", "# b"]
)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8) | TRAPS, PLAIN | TRAPS, min_size=1, max_size=5))
def test_what_is_dumped_is_read_back(data: dict[str, Any]) -> None:
    import tempfile

    data.pop("extends", None)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "dumped.yaml"
        path.write_bytes((dump(data) if data else "{}").encode("utf-8"))
        source = read_source(path)
    assert source.problems == []
    assert source.root.plain() == data


def test_anchors_and_aliases_are_fine(folder: Folder) -> None:
    scenario = folder.load("duration: 1min\npopulations:\n  a: &same {type: retail, leverage: 5}\n  b: *same\n")
    assert scenario.populations["a"].config == scenario.populations["b"].config


# extends


def test_extends_merges_deeply_and_null_deletes(folder: Folder) -> None:
    scenario = folder.load(
        """
extends: base.yaml
venue:
  fees: {maker: null, taker: 4bps}
populations:
  longs: {accounts: 10, latency: null}
  makers: null
  whales: {type: retail}
"""
    )
    fees = scenario.markets[0].venue.fees
    assert (fees.maker, fees.taker) == (0.0002, 0.0004)
    assert list(scenario.populations) == ["longs", "whales"]
    longs = scenario.populations["longs"].config
    assert (longs.accounts, longs.latency) == (10, 50_000_000)
    assert longs.leverage == Lognormal(median=5, sigma=1)
    assert scenario.name == "child"
    assert scenario.question == "What happens?"


def test_null_switches_off_where_it_means_something(folder: Folder) -> None:
    assert folder.load("extends: base.yaml\nvenue: {price_band: null}\n").markets[0].venue.price_band is None
    assert folder.load("extends: base.yaml\nvenue: null\n").markets[0].venue.price_band == 0.1


def test_another_distribution_or_type_replaces(folder: Folder) -> None:
    scenario = folder.load(
        """
extends: base.yaml
populations:
  longs: {leverage: {distribution: uniform, minimum: 1, maximum: 20}}
  makers: {type: retail}
"""
    )
    assert scenario.populations["longs"].config.leverage == Uniform(minimum=1, maximum=20)
    assert scenario.populations["makers"].config.activity == 0.1
    narrower = folder.load("extends: base.yaml\npopulations: {longs: {leverage: {sigma: 0.5}}}\n")
    assert narrower.populations["longs"].config.leverage == Lognormal(median=5, sigma=0.5)


def test_lists_replace_and_later_files_win(folder: Folder) -> None:
    folder.write("rules/a", "index: {feedback: {decay: [10s, 20s, 30s]}}\nstep: 500ms\nseed: 5\n")
    folder.write("rules/b", "index: {feedback: {decay: [10s], weights: [1]}}\nstep: 200ms\n")
    scenario = folder.load("extends: [base.yaml, rules/a.yaml, rules/b.yaml]\nwarmup: 0\n")
    assert scenario.markets[0].index.feedback.decay == (10 * 10**9,)
    assert (scenario.step, scenario.seed, scenario.warmup) == (2 * 10**8, 5, 0)


def test_two_files_may_extend_the_same_one(folder: Folder) -> None:
    folder.write("a", "extends: base.yaml\nseed: 2\n")
    folder.write("b", "extends: base.yaml\n")
    assert folder.load("extends: [a.yaml, b.yaml]\n").seed == 1 + 1


def test_files_are_relative_to_where_they_are_written(folder: Folder) -> None:
    (folder.path / "rules").mkdir()
    (folder.path / "rules" / "path.csv").write_text("time,price\n0,1\n600,1.5\n")
    folder.write("rules/replay", "index: {fundamental: {type: replay, file: path.csv}}\n")
    scenario = folder.load("extends: [base.yaml, rules/replay.yaml]\n")
    fundamental = scenario.markets[0].index.fundamental
    assert isinstance(fundamental, ReplayConfig)
    assert Path(fundamental.file) == folder.path / "rules" / "path.csv"


def test_traits_may_come_from_a_csv(folder: Folder) -> None:
    (folder.path / "leverage.csv").write_text("leverage\n5\n20\n")
    scenario = folder.base(
        "populations.longs.leverage={distribution: empirical, column: leverage, file: %s}"
        % (folder.path / "leverage.csv")
    )
    trait = scenario.populations["longs"].config.leverage
    assert isinstance(trait, Empirical)
    assert trait.mean() == 12.5


# extends inside a population


CROWD = "type: retail\nleverage: {distribution: lognormal, median: 3, sigma: 1}\nmargin_mode: isolated\naccounts: 7\n"


@pytest.fixture
def presets(folder: Folder) -> Folder:
    folder.write("presets/crowd", CROWD)
    folder.write("presets/cautious", "extends: crowd.yaml\nleverage: {sigma: 0.5}\naccounts: null\n")
    folder.write("presets/rich", "deposit: 1M\naccounts: 3\n")
    return folder


def longs(scenario: Scenario) -> Any:
    return scenario.populations["longs"].config


def test_a_population_takes_the_fields_of_a_fragment_under_its_own(presets: Folder) -> None:
    config = longs(presets.load("duration: 1min\npopulations: {longs: {extends: presets/crowd.yaml, accounts: 5}}\n"))
    assert (config.type, config.accounts, config.margin_mode) == ("retail", 5, "isolated")
    assert config.leverage == Lognormal(median=3, sigma=1)


def test_distributions_of_a_fragment_merge_as_in_files(presets: Folder) -> None:
    text = "duration: 1min\npopulations: {longs: {extends: presets/crowd.yaml, leverage: %s}}\n"
    assert longs(presets.load(text % "{sigma: 2}")).leverage == Lognormal(median=3, sigma=2)
    other = "{distribution: uniform, minimum: 1, maximum: 9}"
    assert longs(presets.load(text % other)).leverage == Uniform(minimum=1, maximum=9)
    assert longs(presets.load(text % "20")).leverage == 20
    assert longs(presets.load(text % "null")).leverage == 1


def test_fragments_build_on_fragments_and_later_ones_win(presets: Folder) -> None:
    text = "duration: 1min\npopulations: {longs: {extends: [presets/cautious.yaml, presets/rich.yaml]}}\n"
    config = longs(presets.load(text))
    assert config.leverage == Lognormal(median=3, sigma=0.5)
    assert (config.accounts, config.deposit, config.margin_mode) == (3, 1e6, "isolated")


def test_a_fragment_under_another_type_gives_its_traits(presets: Folder) -> None:
    text = "duration: 1min\npopulations: {fundamental: {type: hedger, extends: presets/%s.yaml}}\n"
    for name, accounts in (("crowd", 7), ("rich", 3)):
        scenario = presets.load(text % name)
        config = scenario.populations["fundamental"].config
        assert (config.type, config.accounts) == ("hedger", accounts)


def test_an_inherited_population_has_its_fragment_and_may_get_another(presets: Folder) -> None:
    presets.write(
        "deep/parent", "duration: 1min\npopulations: {longs: {extends: ../presets/crowd.yaml, accounts: 5}}\n"
    )
    assert longs(presets.load("extends: deep/parent.yaml\n")).margin_mode == "isolated"
    child = "extends: deep/parent.yaml\npopulations: {longs: {leverage: {sigma: 0.1}}}\n"
    assert longs(presets.load(child)).leverage == Lognormal(median=3, sigma=0.1)
    child = "extends: deep/parent.yaml\npopulations: {longs: {extends: presets/rich.yaml}}\n"
    config = longs(presets.load(child))
    assert (config.deposit, config.accounts, config.margin_mode) == (1e6, 3, "isolated")


def test_overrides_come_on_top_of_fragments(presets: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(presets.path)
    text = "duration: 1min\npopulations: {longs: {extends: presets/crowd.yaml, accounts: 5}}\n"
    assert longs(presets.load(text, "populations.longs.leverage=4")).leverage == 4
    assert longs(presets.load(text, "populations.longs.leverage.sigma=0.2")).leverage == Lognormal(median=3, sigma=0.2)
    config = longs(presets.load(text, "populations.longs.extends=presets/rich.yaml"))
    assert (config.deposit, config.accounts, config.margin_mode) == (1e6, 3, "isolated")
    config = longs(
        presets.load(
            "duration: 1min\npopulations: {longs: {type: hedger}}\n",
            "populations.longs=" + "{extends: presets/crowd.yaml, accounts: 2}",
        )
    )
    assert (config.type, config.accounts) == ("retail", 2)


def test_a_resolved_population_extends_nothing(presets: Folder) -> None:
    scenario = presets.load("duration: 1min\npopulations: {longs: {extends: presets/crowd.yaml}}\n")
    assert "extends" not in scenario.resolved_yaml()
    assert presets.load(scenario.resolved_yaml(), name="elsewhere/resolved") == scenario
    plain = presets.load("duration: 1min\npopulations:\n  longs:\n    " + CROWD.replace("\n", "\n    "))
    assert plain.digest("1") == scenario.digest("1")


def test_files_named_in_a_fragment_lie_beside_it(presets: Folder) -> None:
    (presets.path / "presets" / "leverage.csv").write_text("leverage\n5\n20\n")
    presets.write("presets/measured", "leverage: {distribution: empirical, file: leverage.csv, column: leverage}\n")
    text = "duration: 1min\npopulations: {longs: {type: retail, extends: presets/measured.yaml}}\n"
    assert longs(presets.load(text)).leverage.mean() == 12.5


# --set


def test_overrides_win(folder: Folder) -> None:
    scenario = folder.base(
        "liquidation.enabled=false",
        "populations.longs.leverage=20",
        "seed=0",
        "venue.price_band=null",
        "index.feedback.weights=[0.6, 0.3, 0.1]",
        "populations.whales={type: retail, deposit: 1.5M}",
        "populations.makers=null",
        "name=probe",
    )
    market = scenario.markets[0]
    assert market.liquidation.enabled is False
    assert market.venue.price_band is None
    assert market.index.feedback.weights == (0.6, 0.3, 0.1)
    assert scenario.seed == 0
    assert scenario.name == "probe"
    assert scenario.populations["longs"].config.leverage == 20
    assert scenario.populations["whales"].config.deposit == 1.5e6
    assert "makers" not in scenario.populations
    assert "seed=0" in scenario.overrides


def test_an_override_reaches_into_lists(folder: Folder) -> None:
    text = "duration: 1min\nindex: {shocks: [{at: 10s, log_return: -3%}]}\n"
    scenario = folder.load(text, "index.shocks.0.log_return=-6%")
    assert scenario.markets[0].index.shocks[0].log_return == -0.06


def test_an_override_of_null_falls_back_to_the_default(folder: Folder) -> None:
    assert folder.base("venue.fees.maker=null").markets[0].venue.fees.maker == 0.0002


# markets


MARKETS = """\
duration: 1min
depth_1pct: 5M
venue: {fees: {maker: 1bps}}
markets:
  btc:
  eth: {contract: {initial_price: 3000, tick_size: 0.1, lot_size: 0.01}, venue: {fees: {taker: 6bps}}}
populations:
  longs: {type: retail}
  shorts: {type: retail, market: eth}
"""


def test_markets_share_the_blocks_at_the_top(folder: Folder) -> None:
    scenario = folder.load(MARKETS)
    btc, eth = scenario.markets
    assert (btc.name, eth.name) == ("btc", "eth")
    assert btc.depth_1pct == eth.depth_1pct == 5e6
    assert (eth.venue.fees.maker, eth.venue.fees.taker) == (0.0001, 0.0006)
    assert btc.venue.fees.taker == 0.0005
    assert scenario.populations["longs"].market == "btc"
    assert scenario.populations["shorts"].market == "eth"
    assert scenario.populations["longs"].config.market == "btc"


def test_an_override_may_name_a_market(folder: Folder) -> None:
    scenario = folder.load(MARKETS, "markets.eth.liquidation.capacity=7")
    assert [market.liquidation.capacity for market in scenario.markets] == [50, 7]


# the way back


@pytest.mark.parametrize("text", [BASE, MARKETS, "duration: 1min\n"], ids=["one market", "two markets", "smallest"])
def test_the_resolved_file_gives_the_same_scenario(folder: Folder, text: str) -> None:
    scenario = folder.load(text, "seed=9")
    again = folder.load(scenario.resolved_yaml(), name="elsewhere/scenario.resolved")
    assert again == scenario
    assert again.digest("1") == scenario.digest("1")
    assert again.resolved_yaml() == scenario.resolved_yaml()


def test_every_default_is_written_out(folder: Folder) -> None:
    resolved = folder.base().resolved()
    assert resolved["liquidation"]["monitor_period"] == "1s"
    assert resolved["venue"]["funding"]["interval"] == "8h"
    assert resolved["populations"]["longs"]["margin_mode"] == "cross"
    assert resolved["populations"]["longs"]["leverage"]["distribution"] == "lognormal"
    assert list(resolved)[:3] == ["name", "question", "description"]


def test_a_scenario_travels_to_worker_processes(folder: Folder) -> None:
    scenario = folder.base()
    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_an_error_travels_too(folder: Folder) -> None:
    with pytest.raises(ScenarioError) as caught:
        folder.load("duration: 5\n")
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_the_digest_is_of_what_decides_the_market(folder: Folder) -> None:
    base = folder.base().digest("1")
    assert base == folder.base("seed=2").digest("1"), "the seed is told apart in the run's name"
    assert base == folder.base("name=other", "question=Why?").digest("1")
    assert base == folder.load("extends: base.yaml\n", name="deep/down/../../child").digest("1")
    assert base != folder.base("populations.longs.leverage=3").digest("1")
    assert base != folder.base("duration=11min").digest("1")
    assert base != folder.base().digest("2")


def test_input_files_count_by_content(folder: Folder) -> None:
    text = "duration: 1min\nindex: {fundamental: {type: replay, file: p.csv}}\n"
    (folder.path / "p.csv").write_text("time,price\n0,1\n60,1.5\n")
    (folder.path / "other").mkdir()
    (folder.path / "other" / "p.csv").write_text("time,price\n0,1\n60,1.5\n")
    here, there = folder.load(text), folder.load(text, name="other/child")
    assert here.digest("1") == there.digest("1")
    (folder.path / "p.csv").write_text("time,price\n0,1\n60,1.6\n")
    assert here.digest("1") != there.digest("1")


# classes of the user


LAB = """\
from tests.support.fake_participants import RetailConfig

class HerdersConfig(RetailConfig):
    herd: float = 0.5

class Herders:
    config_type = HerdersConfig
"""


def test_a_class_of_the_user_is_found_beside_the_scenario(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder.path / "herding_lab.py").write_text(LAB)
    text = "duration: 1min\npopulations:\n  herd: {type: 'herding_lab:Herders', herd: 0.7}\n"
    scenario = folder.load(text)
    herd = scenario.populations["herd"]
    assert (herd.type, herd.config.herd) == ("herding_lab:Herders", 0.7)
    digest = scenario.digest("1")
    (folder.path / "herding_lab.py").write_text(LAB + "\n# changed\n")
    assert scenario.digest("1") != digest

    # The resolved file lies in another folder, and still says where the class is.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(folder.path)])
    del sys.modules["herding_lab"]
    again = folder.load(scenario.resolved_yaml(), name="runs/scenario.resolved")
    assert again.populations["herd"].config.herd == 0.7
    assert again.digest("1") == scenario.digest("1")


SHAPES = """\
import numpy as np
from marginquake.sim.scenario.distributions import Distribution

class Ones(Distribution):
    def quantile(self, u):
        return np.ones(len(u))

    def mean(self):
        return 1.0

    def support(self):
        return 1.0, 1.0
"""


def test_so_is_a_distribution_of_the_user(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder.path / "shape_lab.py").write_text(SHAPES)
    scenario = folder.base("populations.longs.leverage={distribution: 'shape_lab:Ones'}")
    assert scenario.populations["longs"].config.leverage.mean() == 1
    digest = scenario.digest("1")
    (folder.path / "shape_lab.py").write_text(SHAPES + "\n# changed\n")
    assert scenario.digest("1") != digest


# cost


def test_resolution_is_fast(folder: Folder) -> None:
    folder.base()
    best = min(_timed(folder.base) for _ in range(5))
    assert best < 0.05, f"{best:.3f} s"


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_loading_a_scenario_imports_nothing_heavy(folder: Folder) -> None:
    program = (
        "import sys\nfrom marginquake.sim.scenario.loader import load_scenario\n"
        "from tests.support.fake_participants import FAKE_TYPES\n"
        f"load_scenario({str(folder.path / 'base.yaml')!r}, FAKE_TYPES)\n"
        "print([m for m in ('scipy', 'pandas', 'numba', 'mesa', 'matplotlib', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
