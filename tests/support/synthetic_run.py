"""Writes a small, believable run directory without running a market: for the tests of `analysis`.

A reduced form (price = fundamental x impact of forced sales) with the columns, units and files of a real run.  The
same arguments always give the same files; `forced=False` is the twin without forced orders.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from marginquake.sim.core.records import EVENT, Cause, EventKind

Floats = NDArray[np.float64]

MARKET = "btc_perp"
TICK_SIZE, LOT_SIZE, MONEY_UNIT = 1.0, 0.001, 1e-6
START_PRICE, DEPTH_1PCT = 100_000.0, 12e6
WARM_UP_S = 300
DETENTS = np.array([5, 10, 20, 25, 50, 75, 100.0])
FIRST_RETAIL_ROW = 43

SCENARIO_TEXT = """# Crowded longs meet a moderate fall.
# How much of the fall is forced, and who pays for it?

name: synthetic_squeeze
"""


def write_synthetic_run(directory: Path, seed: int = 7, seconds: int = 1800, forced: bool = True) -> Path:
    """Write a run directory at `directory` (made if need be) and return it."""
    (directory / "events").mkdir(parents=True, exist_ok=True)
    book = _Accounts(np.random.default_rng([seed, 1]))
    path = _Path(np.random.default_rng([seed, 2]), seconds, book, forced)
    _write_series(directory, path, book)
    events = _events(np.random.default_rng([seed, 3]), path, book)
    pq.write_table(pa.table({name: events[name] for name in EVENT.names}), directory / f"events/{MARKET}-00000.parquet")
    _write_accounts(directory, path, book)
    _write_positions(directory, path, book)
    _write_maps(directory, path, book, np.random.default_rng([seed, 4]))
    (directory / "scenario.yaml").write_text(SCENARIO_TEXT)
    contract = f"{{tick_size: {TICK_SIZE}, lot_size: {LOT_SIZE}, multiplier: 1.0, money_unit: {MONEY_UNIT}}}"
    venue = "{brackets: [{notional_cap: 1e9, max_leverage: 100.0, maintenance: 0.004}]}"
    (directory / "scenario.resolved.yaml").write_text(
        f"name: synthetic_squeeze\nmarkets:\n  {MARKET}:\n    contract: {contract}\n    venue: {venue}\n"
    )
    manifest = {
        "schema_version": 1, "software": "marginquake 0.1.0", "git_commit": "0" * 40, "seed": seed, "python": "3.11.9",
        "packages": {"numpy": "2.4.6", "numba": "0.68.1"}, "event_digest": "5f0c" * 8, "wall_seconds": 12.3,
        "status": "complete", "started": "2026-01-02T03:04:05Z",
    }  # fmt: skip
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "summary.json").write_text(json.dumps(_summary(path, book, events, seed, seconds), indent=1))
    return directory


def add_market(directory: Path, market: str) -> None:
    """A second market beside the first, with the same contract, series and accounts, and without events."""
    for name in ("series.parquet", "accounts.parquet"):
        table = pq.read_table(directory / name)
        second = table.set_column(table.column_names.index("market"), "market", pa.array([market] * len(table)))
        pq.write_table(pa.concat_tables([table, second]), directory / name)
    resolved = directory / "scenario.resolved.yaml"
    text = resolved.read_text()
    resolved.write_text(text + text[text.index(f"  {MARKET}:") :].replace(MARKET, market))


class _Accounts:
    """Retail longs at leverage detents, entered at clustered prices; makers hold the other side."""

    def __init__(self, rng: np.random.Generator) -> None:
        count = 1500
        self.leverage = rng.choice(DETENTS, count, p=[0.15, 0.2, 0.25, 0.15, 0.13, 0.06, 0.06])
        clusters = rng.choice([0.992, 1.0, 1.006, 1.013], count, p=[0.15, 0.35, 0.3, 0.2])
        self.entry = np.round(START_PRICE * clusters * np.exp(rng.normal(0, 0.0025, count)))
        notional = 1.6e4 * (rng.pareto(1.1, count) + 0.05)
        self.side = np.where(rng.random(count) < 0.85, 1, -1)
        notional = np.minimum(notional, 1.2e6)
        self.lots = np.maximum(1, np.round(notional / (self.entry * LOT_SIZE))).astype(np.int64)
        distance = 1.0 / self.leverage - 0.004
        self.liquidation = np.round(self.entry * (1.0 - self.side * distance))
        # Nobody starts behind the line.
        crossed = self.side * (START_PRICE - self.liquidation) < 0.002 * START_PRICE
        self.liquidation[crossed] = np.round(START_PRICE * (1.0 - 0.009 * self.side[crossed]))
        self.notional = self.lots * LOT_SIZE * START_PRICE
        self.called_s = np.full(count, np.inf)
        self.called_mark = np.zeros(count)


class _Path:
    """Prices, depth and forced flow, second by second."""

    def __init__(self, rng: np.random.Generator, seconds: int, book: _Accounts, forced: bool) -> None:
        self.time_s = np.arange(-WARM_UP_S, seconds + 1, dtype=np.float64)
        steps = len(self.time_s)
        noise = rng.normal(0, 0.000085, steps) * np.exp(rng.normal(0, 0.5, steps))
        news = np.interp(self.time_s, [0, 0.25 * seconds, 0.55 * seconds, seconds], [0, 0, -0.02, -0.014])
        self.fundamental = START_PRICE * np.exp(np.cumsum(noise) - np.cumsum(noise)[WARM_UP_S] + news)
        ratio = self.fundamental / START_PRICE
        wobble = np.zeros(steps)
        shock, patient = 0.0, 0.0
        self.index, self.mark, self.last = np.zeros(steps), np.zeros(steps), np.zeros(steps)
        self.stress, self.forced_notional = np.zeros(steps), np.zeros(steps)
        self.calls = np.zeros(steps, np.int64)
        kicks = rng.normal(0, 0.00004, steps)
        for k in range(steps):
            wobble[k] = 0.9 * wobble[k - 1] + kicks[k]
            self.index[k] = START_PRICE * ratio[k] * np.exp(0.6 * patient)
            self.last[k] = np.round(START_PRICE * ratio[k] * np.exp(shock + patient + wobble[k]))
            self.mark[k] = np.round(0.7 * self.last[k] + 0.3 * self.index[k])
            flow = 0.0
            if self.time_s[k] > 0:
                crossed = (book.side * (book.liquidation - self.mark[k]) >= 0) & np.isinf(book.called_s)
                crossed &= np.cumsum(crossed) <= 4
                book.called_s[crossed], book.called_mark[crossed] = self.time_s[k], self.mark[k]
                self.calls[k] = crossed.sum()
                if forced:
                    flow = float((book.side * book.notional)[crossed].sum())
            self.forced_notional[k] = abs(flow)
            push = -0.01 * flow / (DEPTH_1PCT * np.exp(-0.8 * self.stress[k - 1]))
            shock, patient = 0.93 * shock + push, 0.9985 * patient + 0.35 * push
            self.stress[k] = 0.97 * self.stress[k - 1] + 25 * abs(shock) * 0.03 + (0.02 if flow else 0.0)
        self.spread_ticks = np.maximum(1, np.round(3 * np.exp(2.2 * self.stress) * np.exp(rng.normal(0, 0.25, steps))))
        self.forced = forced


def _depth(path: _Path, within: float, side: int) -> Floats:
    ripple = 1 + 0.06 * np.sin(path.time_s / 47.0 + 9 * within + side)
    return DEPTH_1PCT * (within / 0.01) ** 0.8 * np.exp(-(1.3 if side > 0 else 0.6) * path.stress) * ripple


def _write_series(directory: Path, path: _Path, book: _Accounts) -> None:
    half = 0.5 * path.spread_ticks * TICK_SIZE
    closed = np.array([book.notional[book.called_s <= now].sum() for now in path.time_s]) * path.forced
    volume = 3e5 * (1 + 6 * path.stress) + path.forced_notional
    called = np.cumsum(path.forced_notional)
    zeros = np.zeros(len(path.time_s))
    fund = 5e6 + 0.004 * called - 0.03 * np.maximum(called - 0.4 * called[-1], 0)
    columns: dict[str, Any] = {
        "market": np.full(len(path.time_s), MARKET), "time_s": path.time_s, "fundamental": path.fundamental,
        "index": path.index, "mark": path.mark, "last": path.last, "mid": path.last,
        "best_bid": path.last - half, "best_ask": path.last + half, "spread_ticks": path.spread_ticks,
        "open_interest": 2.2e8 - closed, "funding_rate": 1e-4 + 0.05 * (path.last / path.index - 1),
        "insurance_fund": fund, "volume": volume, "forced_volume": path.forced_notional,
        "stop_volume": 0.3 * path.forced_notional, "margin_calls": path.calls, "liquidations": path.calls * path.forced,
        "adl_notional": zeros, "takeover_notional": zeros, "fund_position": zeros,
    }  # fmt: skip
    for label, within in (("01pct", 0.001), ("1pct", 0.01), ("5pct", 0.05)):
        columns[f"bid_depth_{label}"] = _depth(path, within, 1)
        columns[f"ask_depth_{label}"] = _depth(path, within, -1)
    pq.write_table(pa.table(columns), directory / "series.parquet")


def _events(rng: np.random.Generator, path: _Path, book: _Accounts) -> NDArray[Any]:
    rows: list[tuple[Any, ...]] = []
    clock = path.time_s * 1e9
    for k in range(len(clock)):
        for _ in range(rng.poisson(2)):
            side = int(rng.choice([-1, 1]))
            lots = int(1 + rng.pareto(1.5) * 60)
            price, mark = int(path.last[k] + side * path.spread_ticks[k] // 2), int(path.mark[k])
            when = int(clock[k] + rng.integers(1e9))
            rows.append((when, 0, 0, lots, 0, 40, 10, price, mark, EventKind.FILL, side, Cause.VOLUNTARY, 0))
    for account in np.flatnonzero(np.isfinite(book.called_s)):
        when, row, side = int(book.called_s[account] * 1e9), FIRST_RETAIL_ROW + int(account), int(book.side[account])
        mark, lots = int(book.called_mark[account]), int(book.lots[account])
        limit = int(book.liquidation[account])
        rows.append((when, 0, 0, lots, 0, row, 0, limit, mark, EventKind.MARGIN_CALL, side, Cause.VOLUNTARY, 0))
        if path.forced:
            cause = Cause.TAKEOVER if account % 17 == 0 else Cause.LIQUIDATION
            for part in range(min(3, lots)):
                piece = lots // min(3, lots) + (lots % min(3, lots) if part == 0 else 0)
                price = mark - side * (8 + 9 * part)
                rows.append((when + 20_000_000, 0, 0, piece, 0, row, 11, price, mark, EventKind.FILL, -side, cause, 0))
    rows.sort(key=lambda row: int(row[0]))
    return np.array(rows, EVENT)


def _write_accounts(directory: Path, path: _Path, book: _Accounts) -> None:
    end = path.mark[-1]
    liquidated = np.isfinite(book.called_s) & path.forced
    margin = book.notional / book.leverage
    gain = book.side * book.lots * LOT_SIZE * (np.where(liquidated, book.liquidation, end) - START_PRICE)
    gain = np.maximum(gain, -margin)
    fees = 0.0005 * book.notional * (1 + liquidated)
    makers, count = 40, len(book.lots)
    population = np.concatenate(
        [
            ["insurance", "fees", "rounding"],
            np.repeat(["market_makers", "arbitrageurs", "fundamentalists", "background"], makers // 4),
        ]
    )
    others = np.zeros(3 + makers)
    weight = np.array([0.62, 0.08, 0.2, 0.1]).repeat(makers // 4) / (makers // 4)
    others[3:] = -gain.sum() * weight
    others[1] = fees.sum()
    retail = np.where(book.side > 0, "retail_longs", "retail_shorts")

    def both(first: Any, second: Any) -> Any:
        return np.concatenate([np.broadcast_to(first, 3 + makers), np.broadcast_to(second, count)])

    spot = np.zeros(3 + makers)
    spot[13:23] = 4e4
    columns = {
        "market": both(MARKET, MARKET), "row": np.arange(3 + makers + count), "population": both(population, retail),
        "leverage": both(1.0, book.leverage), "isolated": both(False, True), "deposit": both(1e6, margin),
        "position_start": both(0, book.side * book.lots), "entry_start": both(0.0, book.entry),
        "position_end": both(0, np.where(liquidated, 0, book.side * book.lots)), "equity_start": both(1e6, margin),
        "equity_end": both(1e6 + others, margin + gain - fees), "margin_called": both(False, liquidated),
        "liquidated": both(False, liquidated), "forced_notional": both(0.0, book.notional * liquidated),
        "adl_notional": both(0.0, 0.0), "fees_paid": both(0.0, fees), "deposits_added": both(0.0, 0.0),
        "liquidation_price_start": both(0.0, book.liquidation),
        "liquidation_price_end": both(0.0, np.where(liquidated, 0.0, book.liquidation)), "spot_pnl": both(spot, 0.0),
    }  # fmt: skip
    pq.write_table(pa.table(columns), directory / "accounts.parquet")


def _write_positions(directory: Path, path: _Path, book: _Accounts) -> None:
    """Retail accounts that are not liquidated yet, every five minutes."""
    tables = []
    for now in range(0, int(path.time_s[-1]) + 1, 300):
        alive = np.flatnonzero(book.called_s > now) if path.forced else np.arange(len(book.lots))
        mark = path.mark[path.time_s == now][0]
        notional = book.lots[alive] * LOT_SIZE * mark
        gain = book.side[alive] * (notional - book.notional[alive])
        tables.append(
            {
                "market": [MARKET] * len(alive), "time_s": np.full(len(alive), float(now)),
                "account": (FIRST_RETAIL_ROW + alive).astype(np.int32),
                "population": np.where(book.side[alive] > 0, "retail_longs", "retail_shorts"),
                "stage": np.zeros(len(alive), np.uint8), "mark": np.full(len(alive), mark),
                "position_lots": book.side[alive] * book.lots[alive], "entry_price": book.entry[alive],
                "liquidation_price": book.liquidation[alive], "bankruptcy_price": book.liquidation[alive],
                "equity": book.notional[alive] / book.leverage[alive] + gain, "notional": notional,
                "maintenance": 0.004 * notional,
            }
        )  # fmt: skip
    pq.write_table(pa.concat_tables(pa.table(table) for table in tables), directory / "positions.parquet")


def _write_maps(directory: Path, path: _Path, book: _Accounts, rng: np.random.Generator) -> None:
    edges = START_PRICE * (1 + np.linspace(-0.15, 0.15, 241))
    centers = 0.5 * (edges[1:] + edges[:-1])
    times = path.time_s[path.time_s >= 0][::10]
    longs, shorts, bids, asks = (np.zeros((len(times), 240)) for _ in range(4))
    texture = np.exp(rng.normal(0, 0.35, 240)) + 6 * (np.abs(centers % 2500 - 62.5) < 63)
    for k, now in enumerate(times):
        alive = (book.called_s > now) if path.forced else np.ones(len(book.lots), bool)
        for target, side in ((longs, 1), (shorts, -1)):
            chosen = alive & (book.side == side)
            target[k] = np.histogram(book.liquidation[chosen], edges, weights=book.notional[chosen])[0]
        at = int(now) + WARM_UP_S
        away = np.log(centers / path.last[at])
        shape = DEPTH_1PCT * 0.13 * np.exp(-np.abs(away) / 0.022) * texture * np.exp(rng.normal(0, 0.15, 240))
        near = 1 - np.exp(-np.abs(away) / 0.004) * (1 - np.exp(-path.stress[at]))
        bids[k], asks[k] = shape * near * (away < 0), shape * near * (away > 0)
    np.savez_compressed(
        directory / "liquidation_map.npz",
        **{
            "markets": np.array([MARKET]), f"{MARKET}/time_s": times, f"{MARKET}/price_edges": edges,
            f"{MARKET}/long_notional": longs, f"{MARKET}/short_notional": shorts,
            f"{MARKET}/bid_depth": bids, f"{MARKET}/ask_depth": asks,
        },
    )  # fmt: skip


def _summary(path: _Path, book: _Accounts, events: NDArray[Any], seed: int, seconds: int) -> dict[str, Any]:
    last, fundamental = path.last[WARM_UP_S:], path.fundamental[WARM_UP_S:]
    calls = int(path.calls.sum())
    fills = events[events["kind"] == EventKind.FILL]
    forced = float(path.forced_notional.sum())
    return {
        "scenario": "scenarios/synthetic_squeeze.yaml", "name": "synthetic_squeeze", "market": MARKET, "seed": seed,
        "steps": seconds * 10, "events": len(events), "fills": len(fills), "volume": 3e5 * seconds + forced,
        "margin_calls": calls, "liquidations": calls * path.forced, "forced_notional": forced,
        "forced_fill_fraction_of_open_interest": forced / 2.2e8, "stop_notional": 0.3 * forced,
        "max_drawdown_fraction": float(np.max(1 - last / np.maximum.accumulate(last))),
        "fundamental_drawdown_fraction": float(np.max(1 - fundamental / np.maximum.accumulate(fundamental))),
        "bad_debt": 41_250.0, "insurance_fund_start": 5e6, "insurance_fund_end": 4.8e6,
        "takeover_notional": 0.06 * forced,
        "adl_notional": 0.0, "socialised_loss": 0.0, "open_interest_start": 2.2e8, "open_interest_end": 2.2e8 - forced,
        "accounts_called_fraction": calls / len(book.lots), "event_digest": "5f0c" * 8, "fuel_ratio_within_1pct": 0.42,
        "fuel_ratio_within_5pct": 0.97, "depth_1pct": DEPTH_1PCT, "index_feedback_depth_1pct": 12.6e6,
        "index_feedback_enabled": True, "median_spread_ticks": float(np.median(path.spread_ticks)),
        "annualised_volatility": 0.61, "median_basis_bps": 1.3, "wall_seconds": 12.3, "steps_per_second": 1463.0,
    }  # fmt: skip


if __name__ == "__main__":
    import sys

    write_synthetic_run(Path(sys.argv[1]), forced="twin" not in sys.argv[2:])
