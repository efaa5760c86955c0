"""Reads a run directory into dictionaries of numpy columns.

A run directory copied from another machine is all that is needed: no model code is imported.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.contract import ContractSpec
from sim.event_log import parts_of
from sim.records import Cause, EventKind
from sim.run_directory import RunData, RunDirectoryError, ScenarioText
from sim.units import parse_duration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Columns = dict[str, NDArray[Any]]
"""One table: column name -> array, all of one length."""

EVENT_COLUMNS = (
    "time_ns", "order_id", "quantity_lots", "money", "account", "maker_account", "price_ticks", "mark_ticks", "kind",
    "side", "cause",
)  # fmt: skip
"""Columns of `EVENT` that analysis uses."""

DRAWN_KINDS = (
    EventKind.FILL, EventKind.MARGIN_CALL, EventKind.TAKEOVER, EventKind.INSURANCE, EventKind.ADL, EventKind.DEPOSIT,
)  # fmt: skip
"""Kinds of event that analysis uses; quotes and cancels stay on disk."""

EVENT_LEVELS = ("none", "liquidations", "fills", "all")
"""Values of `record.events`; each keeps what the ones before it keep, and more."""

SECOND_NS = 1_000_000_000


@final
@dataclass(frozen=True)
class Fills:
    """Every match of two orders, in time order.

    `time_s` from the end of the warm-up; `price` and `notional` in quote units; `side`, `cause` and `order_id` of the
    aggressor; `account` is the aggressor's row and `maker_account` the resting side's.
    """

    time_s: Floats
    price: Floats
    notional: Floats
    side: Ints
    cause: Ints
    account: Ints
    maker_account: Ints
    order_id: Ints

    @property
    def forced(self) -> Bools:
        """True where the aggressor was a liquidation order or the insurance fund unwinding."""
        return np.asarray((self.cause == Cause.LIQUIDATION) | (self.cause == Cause.TAKEOVER), np.bool_)

    def select(self, mask: Bools) -> "Fills":
        """The fills where `mask` is true."""
        return Fills(**{name: getattr(self, name)[mask] for name in self.__dataclass_fields__})

    def __len__(self) -> int:
        return len(self.time_s)


@final
@dataclass(frozen=True)
class MarginCalls:
    """Margin calls, in time order: `side` is +1 where a long was called; `notional` at the mark, quote units."""

    time_s: Floats
    mark: Floats
    notional: Floats
    side: Ints
    account: Ints

    def select(self, chosen: slice) -> "MarginCalls":
        """The calls in a slice."""
        return MarginCalls(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


@final
@dataclass(frozen=True)
class LiquidationMap:
    """Sampled maps of one market: T times, B price bins; every array (T, B) holds quote notional per bin.

    `long_notional`/`short_notional`: forced notional waiting, by liquidation price.  `bid_depth`/`ask_depth`: resting
    orders, by price.  `price_edges` (B + 1) in quote units.
    """

    time_s: Floats
    price_edges: Floats
    long_notional: Floats
    short_notional: Floats
    bid_depth: Floats
    ask_depth: Floats

    @property
    def price_centers(self) -> Floats:
        """Middle of every price bin."""
        return 0.5 * (self.price_edges[1:] + self.price_edges[:-1])

    @property
    def bin_width(self) -> float:
        """Median width of a price bin, quote units."""
        return float(np.median(np.diff(self.price_edges)))


@final
@dataclass(frozen=True)
class FaultSpan:
    """A fault of a venue's rules by its `type`, and when: seconds from the end of the warm-up."""

    type: str
    start_s: float
    end_s: float


@final
@dataclass(frozen=True)
class PublishedBracket:
    """One bracket of the venue's margin table as published: positions up to `notional_cap` (quote units)."""

    notional_cap: float
    max_leverage: float
    maintenance: float


@final
@dataclass(frozen=True)
class MarketFrames:
    """Everything one run recorded of one market.  `series` includes the warm-up (`time_s` < 0)."""

    name: str
    contract: ContractSpec
    series: Columns
    accounts: Columns
    map: LiquidationMap | None
    read_events: Callable[[], Columns]
    """The events of the kinds in `DRAWN_KINDS`, columns `EVENT_COLUMNS`: from disk or from memory."""
    start_ns: int
    """Clock of the events at the end of the warm-up."""
    read_populations: Callable[[], Columns] = dict
    """One row a population and time, of this market; no columns where a run did not record it."""
    events_kept: str = "all"
    """`record.events` of the run, one of `EVENT_LEVELS`."""
    read_audit: Callable[[], Columns] = dict
    """One row for every change of an account's stage, columns of `sim.records.AUDIT`; none where it was not kept."""
    faults: tuple[FaultSpan, ...] = ()
    """Faults of the venue that the scenario declares, in its order."""
    mark_period_s: float = 1.0
    """Seconds between two marks."""
    funding_interval_s: float = 28_800.0
    """Seconds between two payments of funding."""
    brackets: tuple[PublishedBracket, ...] = ()
    """The venue's margin table, smallest positions first; `max_leverage` of the venue applied."""
    read_positions: Callable[[], Columns] = dict
    """One row an account with a position and snapshot, of this market; no columns where a run did not record them."""

    @cached_property
    def run(self) -> Columns:
        """`series` from the end of the warm-up on."""
        after = self.series["time_s"] >= 0
        return {name: column[after] for name, column in self.series.items()} if after.any() else self.series

    @cached_property
    def pauses(self) -> tuple[FaultSpan, ...]:
        """Stretches of the series in which the circuit breaker had paused matching."""
        if "paused_s" not in self.series:
            return ()
        time_s = self.series["time_s"]
        inside = np.concatenate(([False], self.series["paused_s"] > 0, [False]))
        starts, ends = np.flatnonzero(inside[1:] & ~inside[:-1]), np.flatnonzero(~inside[1:] & inside[:-1])
        return tuple(
            FaultSpan("paused", float(time_s[max(first - 1, 0)]), float(time_s[after - 1]))
            for first, after in zip(starts.tolist(), ends.tolist(), strict=True)
        )

    @cached_property
    def events(self) -> Columns:
        """Events of the kinds in `DRAWN_KINDS`, plus the column `time_s` (0 = end of the warm-up)."""
        events = self.read_events()
        events["time_s"] = (events["time_ns"] - self.start_ns) / SECOND_NS
        return events

    @cached_property
    def audit(self) -> Columns:
        """The audit log (docs/events.md) and `time_s`; no columns at all where the run did not keep it."""
        audit = self.read_audit()
        return audit | {"time_s": (audit["time_ns"] - self.start_ns) / SECOND_NS} if audit else {}

    @cached_property
    def positions(self) -> Columns:
        """Who held what at some times (runs/README.md, positions.parquet), account within time.

        No columns at all where the run did not record it: runs with `record.events: none`, and those of before.
        """
        return self.read_positions()

    def not_recorded(self, level: str) -> str:
        """Says that events of this level were not kept and how to have them; empty if they were."""
        if EVENT_LEVELS.index(self.events_kept) >= EVENT_LEVELS.index(level):
            return ""
        return f"not recorded (record.events: {self.events_kept}); run with record.events: {level}"

    @cached_property
    def fills(self) -> Fills:
        """All fills, the warm-up included; none where the run did not keep them (`not_recorded`)."""
        known = self._known_fills
        return known.select(np.full(len(known), not self.not_recorded("fills")))

    @cached_property
    def forced_fills(self) -> Fills:
        """Fills of liquidation orders and of the fund unwinding, the warm-up included; none if they were not kept."""
        return self._known_fills.select(self._known_fills.forced)

    @cached_property
    def _known_fills(self) -> Fills:
        rows = self._of_kind(EventKind.FILL)
        return Fills(
            time_s=rows["time_s"],
            price=rows["price_ticks"] * self.contract.to_price(1.0),
            notional=self._notional(rows["price_ticks"], rows["quantity_lots"]),
            side=rows["side"].astype(np.int64),
            cause=rows["cause"].astype(np.int64),
            account=rows["account"].astype(np.int64),
            maker_account=rows["maker_account"].astype(np.int64),
            order_id=rows["order_id"],
        )

    @cached_property
    def populations(self) -> dict[str, Columns]:
        """What each population held, sampled like the series, warm-up included; empty where it was not recorded."""
        table = self.read_populations()
        return _split(table, "population") if table else {}

    @cached_property
    def margin_calls(self) -> MarginCalls:
        """All margin calls, the warm-up included."""
        rows = self._of_kind(EventKind.MARGIN_CALL)
        return MarginCalls(
            time_s=rows["time_s"],
            mark=rows["mark_ticks"] * self.contract.to_price(1.0),
            notional=self._notional(rows["mark_ticks"], rows["quantity_lots"]),
            side=rows["side"].astype(np.int64),
            account=rows["account"].astype(np.int64),
        )

    def handed_over(self, kind: EventKind) -> tuple[Floats, Floats]:
        """Times (s) and notional of the takeovers or of the ADL, at the mark of their moment; quote units (eq. 19)."""
        rows = self._of_kind(kind)
        return rows["time_s"], self._notional(rows["mark_ticks"], rows["quantity_lots"])

    def _of_kind(self, kind: EventKind) -> Columns:
        chosen = self.events["kind"] == kind
        return {name: column[chosen] for name, column in self.events.items()}

    def _notional(self, price_ticks: NDArray[Any], lots: NDArray[Any]) -> Floats:
        return np.asarray(self.contract.notional(lots, price_ticks.astype(np.float64)), np.float64)


@final
@dataclass(frozen=True)
class RunFrames:
    """One run directory: headline numbers, provenance, the resolved scenario and the frames of every market."""

    path: Path
    summary: Mapping[str, Any]
    manifest: Mapping[str, Any]
    scenario: Mapping[str, Any]
    scenario_text: str
    markets: Mapping[str, MarketFrames]

    @property
    def first(self) -> MarketFrames:
        """The first market of the scenario."""
        return next(iter(self.markets.values()))

    @property
    def name(self) -> str:
        """Name of the run, for titles."""
        return str(self.summary.get("name") or self.summary.get("scenario") or self.path.name)

    @property
    def seed(self) -> str:
        """Seed, for titles."""
        return str(self.summary.get("seed", "?"))

    @property
    def question(self) -> str:
        """What the scenario asks: its `question` or `description`, else the comment its file begins with."""
        for key in ("question", "description"):
            text = self.scenario.get(key)
            if isinstance(text, str) and text.strip():
                return " ".join(text.split())
        return leading_comment(self.scenario_text)


def load_run(path: str | Path) -> RunFrames:
    """Read a run directory.  Events are read when first asked for.

    Raises `RunDirectoryError` with one message when `path` is not a complete run directory.
    """
    directory = Path(path)
    if not directory.exists():
        raise RunDirectoryError(f"{directory}: no such run; `marginquake list runs` shows what there is")
    needed = ("summary.json", "series.parquet", "accounts.parquet", "scenario.resolved.yaml")
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        raise RunDirectoryError(f"{directory}: not a run directory: {', '.join(missing)} missing")
    try:
        return _load(directory)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise RunDirectoryError(f"{directory}: cannot be read: {type(error).__name__}: {error}") from error


def frames_of(data: RunData, scenario: ScenarioText) -> RunFrames:
    """The frames of a run that was simulated in memory: what `load_run` gives after it was written."""
    import yaml

    resolved = yaml.load(scenario.resolved_yaml(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    series = _split(_arrays(data.series), "market")
    accounts = _split(_arrays(data.accounts), "market")
    populations = _split(_arrays(data.populations), "market") if data.populations else {}
    positions = _split(_arrays(data.positions), "market") if data.positions else {}
    maps = _maps_of(data.maps) if data.maps else {}
    name = str(resolved.get("name", ""))
    markets = {
        market: MarketFrames(
            series=columns,
            accounts=accounts.get(market, {}),
            map=maps.get(market),
            read_events=partial(_drawn, data.events[market]),
            start_ns=0,
            read_populations=partial(dict, populations.get(market, {})),
            read_audit=partial(_audited, data.audit[market]) if market in data.audit else dict,
            read_positions=partial(dict, positions.get(market, {})),
            **_declared(resolved, market, Path(name)),
        )
        for market, columns in series.items()
    }
    return RunFrames(Path(name), data.summary, {}, resolved, scenario.source_text, markets)


def leading_comment(text: str) -> str:
    """The comment lines a YAML file begins with, as one paragraph."""
    lines: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            lines.append(stripped.lstrip("#").strip())
        elif stripped or lines:
            break
    return " ".join(line for line in lines if line and not line.startswith("yaml-language-server"))


def _load(directory: Path) -> RunFrames:
    manifest_file = directory / "manifest.json"
    manifest = json.loads(manifest_file.read_text(encoding="utf-8")) if manifest_file.is_file() else {}
    scenario = _read_yaml(directory / "scenario.resolved.yaml")
    verbatim = directory / "scenario.yaml"
    series = _split(_read_parquet([directory / "series.parquet"]), "market")
    accounts = _split(_read_parquet([directory / "accounts.parquet"]), "market")
    maps = _read_maps(directory / "liquidation_map.npz")
    held, positions = directory / "populations.parquet", directory / "positions.parquet"
    start_ns = int(manifest.get("start_ns", 0))
    markets = {
        name: MarketFrames(
            series=columns,
            accounts=accounts.get(name, {}),
            map=maps.get(name),
            read_events=partial(_read_events, tuple(parts_of(directory / "events", name))),
            start_ns=start_ns,
            read_populations=partial(_read_market, held, name) if held.is_file() else dict,
            read_audit=partial(_read_audit, tuple(parts_of(directory / "audit", name))),
            read_positions=partial(_read_market, positions, name) if positions.is_file() else dict,
            **_declared(scenario, name, directory),
        )
        for name, columns in series.items()
    }
    if not markets:
        raise RunDirectoryError(f"{directory}: series.parquet has no rows")
    return RunFrames(
        path=directory,
        summary=json.loads((directory / "summary.json").read_text(encoding="utf-8")),
        manifest=manifest,
        scenario=scenario,
        scenario_text=verbatim.read_text(encoding="utf-8") if verbatim.is_file() else "",
        markets=markets,
    )


def _declared(resolved: Mapping[str, Any], market: str, directory: Path) -> dict[str, Any]:
    """What the frames of a market take from the resolved scenario; what it does not say is as it was before."""
    own = (resolved.get("markets") or {}).get(market, resolved)
    venue = own.get("venue") or {}
    return {
        "name": market,
        "contract": _contract_of(own, market, directory),
        "events_kept": _events_kept(resolved),
        "faults": tuple(map(_fault_of, own.get("faults") or ())),
        "mark_period_s": parse_duration(str((venue.get("mark") or {}).get("period", "1s"))) / SECOND_NS,
        "funding_interval_s": parse_duration(str((venue.get("funding") or {}).get("interval", "8h"))) / SECOND_NS,
        "brackets": _brackets_of(venue),
    }


def _events_kept(resolved: Mapping[str, Any]) -> str:
    """Level of `record.events`; runs of before the level `liquidations` call fills `trades`."""
    kept = str(resolved.get("record", {}).get("events", "all"))
    return {"trades": "fills"}.get(kept, kept)


def _fault_of(fault: Mapping[str, Any]) -> FaultSpan:
    start_ns, length_ns = (parse_duration(str(fault[key])) for key in ("at", "for"))
    return FaultSpan(fault["type"], start_ns / SECOND_NS, (start_ns + length_ns) / SECOND_NS)


def _brackets_of(venue: Mapping[str, Any]) -> tuple[PublishedBracket, ...]:
    most = float(venue.get("max_leverage") or "inf")
    return tuple(
        PublishedBracket(float(b["notional_cap"]), min(float(b["max_leverage"]), most), float(b["maintenance"]))
        for b in venue.get("brackets") or ()
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # a safe loader, the C one where it was built
    if not isinstance(data, dict):
        raise RunDirectoryError(f"{path}: not a mapping")
    return data


def _read_parquet(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not pq.read_table: it imports pyarrow.dataset, and with it pandas, which costs a second.
    tables = [pq.ParquetFile(path).read(columns=list(columns) if columns else None) for path in paths]
    table = pa.concat_tables(tables)
    return {name: _numpy(table.column(name)) for name in table.column_names}


def _numpy(column: Any) -> NDArray[Any]:
    """A pyarrow column as numpy.  Not `to_numpy`, which imports pandas where that is installed: another second."""
    import pyarrow as pa

    kind = column.type
    if column.null_count and pa.types.is_floating(kind):
        column = column.fill_null(float("nan"))
    if pa.types.is_boolean(kind):
        return np.asarray(np.from_dlpack(column.cast("uint8").combine_chunks()), np.bool_)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = column.dictionary_encode()
        kind = column.type
    if pa.types.is_dictionary(kind):
        whole = column.combine_chunks()
        words = np.array(whole.dictionary.to_pylist() or [""], dtype=np.str_)
        return np.asarray(words[np.from_dlpack(whole.indices)])
    plain: NDArray[Any] = np.from_dlpack(column.combine_chunks())
    return plain


def _read_events(paths: Sequence[Path]) -> Columns:
    if not paths:
        return {name: np.zeros(0, np.int64) for name in EVENT_COLUMNS}
    parts: list[Columns] = []
    for path in paths:
        part = _read_parquet([path], EVENT_COLUMNS)
        chosen = np.isin(part["kind"], [int(kind) for kind in DRAWN_KINDS])
        parts.append({name: column[chosen] for name, column in part.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in EVENT_COLUMNS}


def _read_audit(paths: Sequence[Path]) -> Columns:
    return _read_parquet(paths) if paths else {}


def _audited(audit: NDArray[Any]) -> Columns:
    return {name: np.ascontiguousarray(audit[name]) for name in audit.dtype.names or ()}


def _drawn(events: NDArray[Any]) -> Columns:
    """The columns that analysis uses, of the kinds that it uses."""
    chosen = events[np.isin(events["kind"], [int(kind) for kind in DRAWN_KINDS])]
    return {name: np.ascontiguousarray(chosen[name]) for name in EVENT_COLUMNS}


def _read_market(path: Path, market: str) -> Columns:
    """One market's rows of a table."""
    return _split(_read_parquet([path]), "market").get(market, {})


def _arrays(table: Mapping[str, Any]) -> Columns:
    return {name: np.asarray(column) for name, column in table.items()}


def _split(table: Columns, key: str) -> dict[str, Columns]:
    """One table for each word of the column `key`, in order of first appearance."""
    words = table[key].astype(str)
    others = {name: column for name, column in table.items() if name != key}
    seen = list(dict.fromkeys(words.tolist()))
    if len(seen) == 1:
        return {seen[0]: others}
    tables: dict[str, Columns] = {}
    for word in seen:
        chosen = words == word
        tables[word] = {name: column[chosen] for name, column in others.items()}
    return tables


def _read_maps(path: Path) -> dict[str, LiquidationMap]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as archive:
        return _maps_of(archive)


def _maps_of(archive: Mapping[str, NDArray[Any]]) -> dict[str, LiquidationMap]:
    keys = ("time_s", "price_edges", "long_notional", "short_notional", "bid_depth", "ask_depth")
    return {
        name: LiquidationMap(**{key: np.asarray(archive[f"{name}/{key}"], np.float64) for key in keys})
        for name in map(str, archive["markets"])
        if f"{name}/time_s" in archive
    }


def _contract_of(own: Mapping[str, Any], market: str, directory: Path) -> ContractSpec:
    """The contract of `market`, of which the scenario says `own`."""
    fields = own.get("contract")
    if not isinstance(fields, Mapping):
        raise RunDirectoryError(f"{directory}: scenario.resolved.yaml names no contract of market {market}")
    # The run has been: the overflow bounds that a scenario is checked against do not matter for reading it.
    return ContractSpec.from_fields(
        market, {"money_unit": 1e-6, "initial_price": 1, **fields}, max_price_ticks=1, max_position_lots=1
    )
