"""The report of a run: one file that asks nobody, holds what it shows, and says what is missing."""

import base64
import importlib.resources
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis import formats
from marginquake.analysis.causes import Calls, Cascade, CausalTree, Links, Outsider, causal_tree
from marginquake.analysis.causes.cascade import ForcedFills
from marginquake.analysis.causes.genealogy import generations
from marginquake.analysis.figures import FIGURES
from marginquake.analysis.frames.run_frames import load_run
from marginquake.analysis.levels import map_forecasts, true_map
from marginquake.analysis.presentation.page import TEMPLATES, pack, script_json
from marginquake.analysis.report import cascades, levels, liquidation_map, palette, populations, run_report, who_paid
from marginquake.analysis.report.heat_chart import heat_chart
from marginquake.analysis.report.icicle import icicle
from marginquake.analysis.report.run_report import write_report
from marginquake.analysis.report.sections import SECTIONS
from marginquake.analysis.report.thinning import WINDOW_POINTS, rows_to_keep
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.analysis.studies.twins import Cell, Effect, TwinResult, write_twin
from marginquake.sim.core.records import Cause, EventKind, Stage
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.paths import ROOT, TINY
from tests.support.synthetic_run import add_market

HARD = ("index.shocks=[{at: 2s, log_return: -6%, over: 4s}]", "venue.insurance.initial=1000")
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run in which many are called, the fund is emptied and winners pay."""
    return running.run(
        load_scenario(TINY, AGENT_TYPES, HARD), seed=1, out=tmp_path_factory.mktemp("hard"), figures=False
    ).path


class Reader(HTMLParser):
    """Collects sources and texts, and checks that tags nest."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.charts: list[dict[str, str]] = []
        self.scripts: dict[str, str] = {}
        self.words: list[str] = []
        self._script: str | None = None
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag not in self.VOID:
            self.stack.append(tag)
        self.sources += [value for name, value in named.items() if name in ("src", "href", "srcset", "action", "data")]
        self.ids += [named["id"]] if "id" in named else []
        if named.get("class") == "chart":
            self.charts.append(named)
        self._script = named.get("id") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "script":
            if self._script:
                self.scripts[self._script] = data
        elif self.stack and self.stack[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(path: Path) -> Reader:
    return Reader(write_report(path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hard_page(hard: Path) -> Reader:
    return read(hard)


def test_the_page_holds_everything_and_asks_nobody(copy: Path) -> None:
    text = write_report(copy).read_text(encoding="utf-8")
    page = Reader(text)
    pictures = [source for source in page.sources if not source.startswith("#")]
    market = load_run(copy).first
    stills = [name for name, picture in FIGURES.items() if not picture.in_charts and picture.applies(market)]
    assert len(pictures) == len(stills)
    assert all(source.startswith("data:image/png;base64,") for source in pictures)
    assert all(source[1:] in page.ids for source in page.sources if source.startswith("#"))
    bare = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(", bare)
    # the only address is the one by which the vendored library names itself, in a comment
    assert set(re.findall(r"https?://[^\s\"')]+", bare)) == {"https://github.com/leeoniya/uPlot"}
    assert "default-src 'none'" in bare
    manifest = json.loads((copy / "manifest.json").read_text())
    for expected in (
        "Fuel ratio Λ, 5 %",
        "Index feedback",
        "who pays for it?",
        manifest["event_digest"],
        "Leon Sorokin",
    ):
        assert expected in page.text
    assert bare.index("Fuel ratio") < bare.index('class="chart"')
    assert len(text.encode()) < MOST_BYTES


def test_every_chart_has_its_data_and_a_function_that_draws_it(hard_page: Reader) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.js"))
    assert len(hard_page.charts) >= 7
    for chart in hard_page.charts:
        assert isinstance(json.loads(hard_page.scripts[chart["data-source"]]), dict)
        assert f"MQ.kinds.{chart['data-kind']} =" in code
        assert chart["aria-label"]
    assert len(set(hard_page.ids)) == len(hard_page.ids)


def test_every_section_of_the_registry_has_a_name_of_its_own_and_shows_up(hard: Path, hard_page: Reader) -> None:
    assert len({section.name for section in SECTIONS}) == len(SECTIONS)
    frames = load_run(hard)
    for section in SECTIONS:
        assert (f"market0-{section.name}" in hard_page.ids) == section.applies(frames, frames.first)
    for expected in ("Who paid", "Liquidation map", "Calls and liquidations", "winners closed by ADL", "Branching"):
        assert expected in hard_page.text


def test_every_colour_that_charts_name_exists_in_both_schemes(hard_page: Reader) -> None:
    assert palette.LIGHT.keys() == palette.DARK.keys()
    known = set(palette.LIGHT) | {palette.population(k) for k in range(9)}

    def colours(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(colours, node)) if node else set()
        if not isinstance(node, dict):
            return set()
        own = {node["colour"]} if isinstance(node.get("colour"), str) else set()
        return own.union(*map(colours, node.values())) if node else own

    for text in hard_page.scripts.values():
        assert colours(json.loads(text)) <= known
    for path in TEMPLATES.glob("*.js"):
        named = re.findall(r"MQ\.(?:colour|faded)\(\"([a-z-]+)\"", path.read_text(encoding="utf-8"))
        assert set(named) <= known


def test_what_a_scenario_says_is_escaped_everywhere(run: Path) -> None:
    evil = "</script><script>alert(1)</script><!-- <b>"
    frames = load_run(run)
    market = replace(frames.first, name=evil)
    spoilt = replace(
        frames, scenario_text=f"# {evil}\nname: x\n", scenario={**frames.scenario, "question": evil},
        summary={**frames.summary, "name": evil, "market": evil}, markets={evil: market},
    )  # fmt: skip
    text = run_report.render_report(spoilt)
    Reader(text)
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text


def test_data_cannot_end_its_script_element() -> None:
    text = script_json({"label": "</script><!--\u2028&", "value": 1.5})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"label": "</script><!--\u2028&", "value": 1.5}


def test_what_was_not_recorded_is_said_with_the_level_it_takes(tmp_path: Path) -> None:
    path = running.run(load_scenario(TINY, AGENT_TYPES, ["record.events=none"]), out=tmp_path, figures=False).path
    page = read(path)
    assert "Forced fills: not recorded (record.events: none); run with record.events: liquidations" in page.text
    assert "Who paid: not recorded (record.events: none); run with record.events: liquidations" in page.text
    assert "market0-quality" not in page.ids


def test_runs_of_before_there_were_populations_audit_or_maps_still_have_a_page(copy: Path) -> None:
    (copy / "liquidation_map.npz").unlink()
    page = read(copy)
    assert "market0-map" not in page.ids
    for expected in ("The run recorded no map of the book", "did not record what populations held", "has no audit log"):
        assert expected in page.text
    shutil.rmtree(copy / "events")
    assert "The events of this run are gone" in read(copy).text


def test_a_run_without_trades_and_a_run_of_one_row_still_have_a_page(copy: Path) -> None:
    series = pq.read_table(copy / "series.parquet")
    dead = ("last", "mid", "best_bid", "best_ask", "spread_ticks")
    columns = {
        name: np.full(len(series), np.nan) if name in dead else series.column(name) for name in series.column_names
    }
    pq.write_table(pa.table(columns), copy / "series.parquet")
    assert read(copy).charts
    pq.write_table(series.slice(len(series) - 1), copy / "series.parquet")
    assert read(copy).charts


def test_every_market_has_its_own_sections(copy: Path) -> None:
    add_market(copy, "alt")
    page = read(copy)
    assert {"market0-happened", "market1-happened"} <= set(page.ids)
    assert "Market alt" in page.text


def test_a_page_that_grows_too_large_names_its_still_figures_instead(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_report, "MOST_BYTES", 1000)
    page = read(copy)
    assert not [source for source in page.sources if source.startswith("data:")]
    assert "figures/returns.png" in page.text


def test_thinned_columns_keep_first_last_least_and_largest() -> None:
    rng = np.random.default_rng(3)
    time_s = np.arange(50_000.0)
    columns = [np.cumsum(rng.normal(size=50_000)), rng.normal(size=50_000)]
    columns[1][100:9_000] = np.nan
    rows = rows_to_keep(time_s, columns)
    assert len(rows) <= 2000
    assert (rows[0], rows[-1]) == (0, 49_999)
    assert (np.diff(rows) > 0).all()
    for column in columns:
        kept = column[rows]
        assert (np.nanmin(kept), np.nanmax(kept)) == (np.nanmin(column), np.nanmax(column))
    detailed = rows_to_keep(time_s, columns, [(20_000.0, 20_500.0)])
    assert set(range(20_000, 20_501)) <= set(detailed.tolist())
    assert len(detailed) <= 2000 + WINDOW_POINTS
    np.testing.assert_array_equal(rows_to_keep(time_s[:30], [time_s[:30]]), np.arange(30))


def test_packed_columns_come_back() -> None:
    values = np.array([1.5, np.nan, -3e7])
    back = np.frombuffer(base64.b64decode(pack(values)["f32"]), "<f4")
    np.testing.assert_allclose(back, values, rtol=1e-7)


def test_clusters_are_of_one_moment_the_one_before_the_largest_cascade(run: Path) -> None:
    frames = load_run(run)
    content = levels.content(frames, frames.first)
    largest = map_forecasts(frames.first)[0]
    clock = formats.clock(largest.snapshot_s)
    chart = content.charts[0].data
    assert chart["moments"][chart["open"]]["time"] == largest.snapshot_s > 0
    assert content.lead is not None
    assert content.lead.startswith(f"At {clock}: 16 clusters")
    clusters, ladder = content.tables
    assert clusters.caption.startswith(f"The {len(clusters.rows)} largest of 16 clusters on the map of {clock}")
    assert ladder.caption.startswith(f"The ladder at {clock}:")


def test_a_chart_opens_at_the_largest_cascade_even_where_it_is_not_the_first(run: Path) -> None:
    frames = load_run(run)
    found = map_forecasts(frames.first)[0]
    maps = [(replace(true_map(frames.first, 0.0), time_s=at_s),) * 2 for at_s in (0.0, 60.0, 120.0)]
    assert levels._opening(maps, (replace(found, snapshot_s=120.0), replace(found, snapshot_s=60.0))) == 2
    assert levels._opening(maps, ()) == 0


def test_the_losses_say_of_how_many_forced_sales() -> None:
    paid = dict.fromkeys(("margin", "fund", "winners", "socialised", "unpaid"), 0.0) | {"margin": 2e3}
    assert who_paid._lead(5, 7, paid).startswith("Losses of 5 forced sales that ended (of 7 that began), from")
    assert who_paid._lead(7, 7, paid) == (
        "Losses of 7 forced sales, from the beginning of each: margin of those liquidated 2k."
    )


def test_a_heat_map_says_within_its_resolution_what_the_run_recorded(run: Path) -> None:
    market = load_run(run).first
    map_ = market.map
    assert map_ is not None
    whole_map = map_.long_notional + map_.short_notional
    low, high = float(map_.price_edges[0]), float(map_.price_edges[-1])
    chart = heat_chart(market, map_, whole_map, market.run["mark"], "x", ["#000000", "#ffffff"], (low, high))

    def floats(packed: dict[str, str]) -> Any:
        return np.frombuffer(base64.b64decode(packed["f32"]), "<f4").astype(np.float64)

    times, prices = floats(chart["times"]), floats(chart["prices"])
    codes = np.frombuffer(base64.b64decode(chart["codes"]["u8"]), np.uint8).reshape(len(times) - 1, len(prices) - 1)
    amount = np.where(
        codes > 0, chart["low"] * (chart["high"] / chart["low"]) ** ((codes.astype(float) - 1) / 254), 0.0
    )
    join = -(-len(map_.price_edges[:-1]) // len(prices[:-1]))
    bins = (len(map_.price_edges) - 1) // join
    whole = whole_map[:, : bins * join].reshape(len(whole_map), bins, join).sum(axis=2)
    np.testing.assert_allclose(prices, map_.price_edges[: bins * join + 1 : join], rtol=1e-6)
    step = -(-len(whole_map) // (len(times) - 1))
    mean = np.stack([whole[k : k + step].mean(axis=0) for k in range(0, len(whole), step)])
    seen = (mean > chart["low"]) & (mean < chart["high"])
    assert seen.any()
    np.testing.assert_allclose(amount[seen], mean[seen], rtol=0.02)


def _tree(notional: list[float], parent: list[int]) -> CausalTree:
    """A causal tree of calls a second apart, each with one forced fill."""
    count = len(notional)
    zeros, ones = np.zeros(count), np.ones(count)
    calls = Calls(
        time_s=np.arange(count, dtype=float), account=100 + np.arange(count), side=np.ones(count, np.int64),
        notional=np.array(notional), mark=100 * ones, from_s=zeros, move=-ones, index=-0.75 * ones, voluntary=zeros,
        stop=zeros, forced=-0.25 * ones, smoothing=zeros, adl=zeros, parent=np.array(parent),
        generation=generations(np.array(parent)), cascade=np.zeros(count, np.int64),
    )  # fmt: skip
    whole = Cascade(0, 0.0, 10.0, np.arange(count), 1, (1,), float(sum(notional)))
    nothing = Estimate(0.0, 0.0, 0.0)
    fills = ForcedFills(np.arange(count), calls.time_s, np.array(notional))
    links = Links(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return CausalTree(calls, links, (whole,), nothing, nothing, 1.0, Outsider(nothing, 0.0, 0.0, {}), fills)


def _floats(packed: dict[str, str]) -> list[float]:
    return np.frombuffer(base64.b64decode(packed["f32"]), "<f4").tolist()


def test_a_cell_is_as_wide_as_its_call_and_all_that_followed() -> None:
    #     0 (100)
    #    /       \
    #  1 (50)   2 (30)
    #    |
    #  3 (20)
    tree = _tree([100, 50, 30, 20], [-1, 0, 0, 1])
    cells = icicle(tree, tree.cascades[0])
    assert cells["parent"] == [-1, 0, 0, 1]
    assert _floats(cells["mass"]) == [200, 70, 30, 20]
    assert _floats(cells["own"]) == [100, 50, 30, 20]
    assert cells["count"] == [4, 2, 1, 1]
    assert cells["account"] == [100, 101, 102, 103]
    assert _floats(cells["time"]) == [0, 1, 2, 3]
    assert _floats(cells["shares"])[:5] == [0.75, 0, 0, 0.25, 0]


def test_small_calls_of_one_parent_are_one_cell_and_nothing_is_lost() -> None:
    small = [0.01] * 300
    tree = _tree([100, 50, *small, 0.01], [-1, 0, *([0] * 150), *([1] * 150), 150])
    cells = icicle(tree, tree.cascades[0])
    assert cells["parent"] == [-1, 0, 0, 1]
    assert cells["account"] == [100, 101, -1, -1]
    assert cells["count"] == [303, 151, 151, 150]
    mass = _floats(cells["mass"])
    assert mass[0] == pytest.approx(153.01)
    assert mass[2] == pytest.approx(1.51)
    own = _floats(cells["own"])
    assert sum(own) == pytest.approx(153.01)


def test_a_move_of_next_to_nothing_has_next_to_no_say_in_the_shares_of_its_generation() -> None:
    tree = _tree([100, 50], [-1, -1])
    moves = np.array([-1.0, -0.001])
    calls = replace(tree.calls, move=moves, index=np.array([-0.5, 0.009]), forced=np.array([-0.5, -0.010]))
    cascade = replace(tree.cascades[0], generations=(2,))
    (row,) = cascades._generations(replace(tree, calls=calls), cascade).rows
    assert row[:2] == ("called first", "2")
    # (0.5 - 0.009) / 1.001 and (0.5 + 0.010) / 1.001; the mean of the two shares would be -425 % and 525 %
    assert row[5:] == ("49 %", "0 %", "0 %", "51 %", "0 %", "0 %")


def test_the_map_speaks_of_the_side_on_which_more_waits(run: Path) -> None:
    frames = load_run(run)
    map_ = frames.first.map
    assert map_ is not None
    assert liquidation_map.content(frames, frames.first).lead.startswith("Longs to be sold within 1 % below")
    turned = replace(map_, long_notional=0 * map_.long_notional, short_notional=1 + 0 * map_.long_notional)
    lead = liquidation_map.content(frames, replace(frames.first, map=turned)).lead
    assert lead.startswith("Shorts to be bought within 1 % above")
    assert "of asks" in lead


def test_a_twin_beside_the_run_has_a_section(copy: Path) -> None:
    assert "market0-twins" not in read(copy).ids
    run = load_run(copy)
    one = Estimate(1.5, 1.2, 1.9)
    effect = Effect(("liquidation",), (), one, Estimate(0.33, 0.17, 0.47), one, one, 3, 0)
    cells = (Cell((), (0.03, 0.03, 0.03), ("a",), ("d",)), Cell(("liquidation",), (0.02, 0.02, 0.02), ("b",), ("e",)))
    result = TwinResult(
        ("liquidation",), copy.name, run.manifest["event_digest"], run.first.name, "fall", (7, 8, 9), cells, (effect,),
        UNKNOWN, UNKNOWN, (0.0, 600.0, 1200.0), (100.0, 97.0, 98.0), (100.0, 98.0, 99.0),
    )  # fmt: skip
    write_twin([result], copy)
    page = read(copy)
    assert "market0-twins" in page.ids
    fell = "fell by 2.00 % instead of 3.00 % from its start"
    assert f"{fell}; over 3 seeds the amplification is 1.50 (1.20 to 1.90)" in page.text
    panels = json.loads(page.scripts["market0-twins-1"])["panels"]
    assert [line["label"] for line in panels[0]["series"]] == ["as it was", "without liquidation", "fundamental"]


def test_losses_in_the_waterfall_are_what_events_and_accounts_say(hard: Path) -> None:
    market = load_run(hard).first
    page = read(hard)
    bars = {bar["label"]: bar["amount"] for bar in json.loads(page.scripts["market0-losses-1"])["bars"]}
    accounts, audit, contract = market.accounts, market.audit, market.contract
    fund = accounts["population"].astype(str) == "insurance"
    change = float((accounts["equity_end"] - accounts["equity_start"])[fund].sum())
    assert bars["insurance fund, net"] == pytest.approx(-change, rel=1e-4)

    # Margin: what each forced sale closed, from the mark at its beginning to the price of the event, and the fees.
    events = market.events
    adl = events["kind"] == EventKind.ADL
    closed = adl | (events["kind"] == EventKind.TAKEOVER)
    closed |= (events["kind"] == EventKind.FILL) & (events["cause"] == Cause.LIQUIDATION)
    whose = np.where(adl, events["maker_account"], events["account"])
    paid, sales = contract.to_amount(int(audit["fee"].sum())), np.flatnonzero(audit["to_stage"] == Stage.LIQUIDATING)
    for row in sales:
        own = closed & (whose == audit["account"][row]) & (events["time_ns"] >= audit["time_ns"][row])
        lots = np.sign(audit["position_lots"][row]) * events["quantity_lots"][own]
        assert abs(lots.sum()) == abs(audit["position_lots"][row]), "each account is sold once, and whole"
        prices = events["price_ticks"][own].astype(float)
        paid -= float(contract.gain(lots, float(audit["mark_ticks"][row]), prices).sum())
    half_ticks = len(sales) * 0.5 * contract.notional_per_lot(1.0) * float(np.abs(audit["position_lots"]).max())
    assert bars["margin of those liquidated"] == pytest.approx(paid, abs=half_ticks), (
        "bankruptcy prices are whole ticks"
    )

    # ADL: how much worse than the mark winners were closed; `side` is theirs, closing.
    price, mark = (events[name][adl].astype(float) for name in ("price_ticks", "mark_ticks"))
    winners = -float(contract.gain(events["side"][adl] * events["quantity_lots"][adl], price, mark).sum())
    assert winners > 0
    assert bars["winners closed by ADL"] == pytest.approx(winners, rel=1e-5)
    owed = float(np.minimum(accounts["equity_end"][accounts["liquidated"].astype(bool)], 0).sum())
    assert bars.get("nobody (bad debt left)", 0.0) == pytest.approx(-owed, abs=0.01)
    assert not (events["kind"] == EventKind.SOCIALISED).any()
    assert "winners (socialised loss)" not in bars
    total = formats.short_number(sum(bars.values()))
    assert f"lost to other traders {total} the sum of the bars" in page.text


def test_no_figure_of_the_waterfall_is_a_share_of_a_sum_with_minuses() -> None:
    code = (TEMPLATES / "bars.js").read_text(encoding="utf-8")
    assert "%" not in re.sub(r"//.*", "", code)


def _luminance(colour: str) -> float:
    part = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira and Fernandes (2009), table 1, severity 1.0, for linear red, green, blue.
EYES = {
    "all cones": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _seen(colour: str, eyes: Any) -> Any:
    """A colour as these eyes see it, in CIE Lab."""
    part = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(eyes @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _apart(one: str, other: str) -> float:
    return min(float(np.linalg.norm(_seen(one, eyes) - _seen(other, eyes))) for eyes in EYES.values())


@pytest.mark.parametrize(
    ("colours", "populations"),
    [(palette.LIGHT, palette.POPULATION_COLOURS), (palette.DARK, palette.NIGHT_POPULATION_COLOURS)],
    ids=["light", "dark"],
)
def test_colours_can_be_seen_on_their_card_and_told_apart_by_every_eye(
    colours: dict[str, str], populations: tuple[str, ...]
) -> None:
    drawn = {name: colour for name, colour in colours.items() if name not in ("card", "grid")}
    drawn |= {f"population {k}": colour for k, colour in enumerate(populations)}
    assert {name for name, colour in drawn.items() if _contrast(colour, colours["card"]) < 3} == set()
    groups = [[colours[name] for name in group] for group in palette.GROUPS] + [list(populations)]
    for group in groups:
        close = [(one, other) for one, other in combinations(group, 2) if _apart(one, other) < 12]
        assert close == []
    assert _contrast("#ffffff", "#000000") == pytest.approx(21)
    assert _apart("#00ff00", "#ff8000") < _apart("#0000ff", "#ff8000"), "as the eyes of the last two have it"


def test_a_page_that_is_still_too_large_is_drawn_less_finely_and_says_so(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = read(copy)
    assert "to be mailed" not in usual.text
    bare = len(run_report.render_report(load_run(copy)).encode())
    for source in usual.sources:
        bare -= len(source) if source.startswith("data:") else 0
    monkeypatch.setattr(run_report, "MOST_BYTES", bare - 20_000)
    page = read(copy)
    assert (copy / "report.html").stat().st_size <= bare - 20_000
    assert re.search(r"To stay small enough to be mailed, its charts have 0\.\d+ of the usual points", page.text)
    assert page.scripts.keys() == usual.scripts.keys()
    monkeypatch.setattr(run_report, "MOST_BYTES", 1000)
    assert re.search(r"This page is large \(\d+\.\d MB\), although", read(copy).text)


def test_those_who_may_be_called_have_panels_of_their_own(hard: Path) -> None:
    market = load_run(hard).first
    panels = json.loads(read(hard).scripts["market0-populations-1"])["panels"]
    lines = {panel["title"]: [line["label"] for line in panel["series"]] for panel in panels}
    assert lines["Net position, levered"] == ["crowd"]
    assert "crowd" not in lines["Bought since the start, the others"]
    assert {"makers", "carry"} & set(lines["Bought since the start, the others"])
    bought = populations._bought(market, market.populations["carry"])
    lots = market.populations["carry"]["net_lots"]
    assert bought[0] == 0
    at_mark = (
        (lots[-1] - lots[0])
        * market.run["mark"][-1]
        * market.contract.notional_per_lot(1 / market.contract.to_price(1))
    )
    assert bought[-1] == pytest.approx(at_mark)


def test_every_line_of_every_panel_has_what_the_run_recorded(hard: Path) -> None:
    seen = 0
    for text in read(hard).scripts.values():
        for panel in json.loads(text).get("panels", ()):
            for line in panel.get("series", ()):
                assert np.isfinite(_floats(line["values"])).any(), f"{panel['title']}: {line['label']}"
                seen += 1
    assert seen >= 20


def test_without_a_cascade_none_is_named(hard: Path) -> None:
    text = read(hard).text
    assert not causal_tree(load_run(hard).first).several
    assert ", before the largest bunch of margin calls, and what became of them" in text
    for named in ("before the largest cascade,", "numbered: the largest cascades"):
        assert named not in text


def test_a_page_names_its_run_and_no_folder_of_the_machine_that_made_it(hard: Path) -> None:
    page = write_report(hard).read_text(encoding="utf-8")
    body = page.split('id="provenance"')[0]
    assert str(hard.parent) not in body
    assert f"<code>marginquake counterfactual {hard.name} --without liquidation</code>" in body


def test_an_installed_package_has_the_vendored_library_and_its_licence() -> None:
    folder = importlib.resources.files("marginquake.analysis.presentation") / "templates" / "vendor"
    for name in ("uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE", "README.md"):
        assert (folder / name).is_file()
    project = (ROOT / "pyproject.toml").read_text()
    assert '"templates/**/*"' in project
