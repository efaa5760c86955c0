"""A run directory, read: `load_run`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis.frames.labelled_events import empty, labelled_parts
from marginquake.analysis.frames.market import (
    DRAWN_KINDS,
    EVENT_COLUMNS,
    SECOND_NS,
    Columns,
    FaultSpan,
    IndexFeedback,
    LiquidationMap,
    MarketFrames,
    PublishedBracket,
    _split,
    market_summary,
)
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.fields import parse_duration
from marginquake.sim.core.outside.stored_text import read_yaml
from marginquake.sim.runs import directory as run_directory
from marginquake.sim.runs.directory import (
    RunData,
    RunDirectoryError,
    ScenarioText,
    check_nothing_missing,
    checked,
    read_manifest,
    read_summary,
)
from marginquake.sim.runs.event_log import MARKET, parts_of

if TYPE_CHECKING:
    import pyarrow as pa


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
    def events(self) -> "pa.Table":
        """All events that the run kept, market after market: a pyarrow Table with words for codes, read from its files.

        `run.events.to_pandas()` has categories, and duckdb can ask `run.events` itself.  Columns: `market`, and those
        of docs/events.md.
        """
        import pyarrow as pa

        parts = list(labelled_parts(self.path, list(self.markets)))
        return pa.concat_tables(parts) if parts else empty(list(self.markets))

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
    run_directory.check_plain(directory)
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
            index_feedback=_index_feedback(resolved, market, data.summary),
            summary=market_summary(data.summary, market),
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
    manifest = read_manifest(directory) if (directory / "manifest.json").is_file() else {}
    check_nothing_missing(directory, manifest)
    scenario = _read_yaml(directory / "scenario.resolved.yaml")
    verbatim = directory / "scenario.yaml"
    series = _split(_read_parquet([directory / "series.parquet"]), "market")
    accounts = _split(_read_parquet([directory / "accounts.parquet"]), "market")
    for name in series:
        if MARKET.match(name) is None:  # files are called by it
            raise RunDirectoryError(f"{directory}: {name[:80]!r} is no name of a market")
    maps = _read_maps(directory / "liquidation_map.npz")
    held, positions = directory / "populations.parquet", directory / "positions.parquet"
    summary = read_summary(directory)
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
            index_feedback=_index_feedback(scenario, name, summary),
            summary=market_summary(summary, name),
            **_declared(scenario, name, directory),
        )
        for name, columns in series.items()
    }
    if not markets:
        raise RunDirectoryError(f"{directory}: series.parquet has no rows")
    return RunFrames(
        path=directory,
        summary=summary,
        manifest=manifest,
        scenario=scenario,
        scenario_text=checked(verbatim).read_text(encoding="utf-8") if verbatim.is_file() else "",
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


def _index_feedback(resolved: Mapping[str, Any], market: str, summary: Mapping[str, Any]) -> IndexFeedback | None:
    """How the index listens: the scenario says how it decays, the summary how much it takes."""
    own = (resolved.get("markets") or {}).get(market, resolved)
    told = (own.get("index") or {}).get("feedback") or {}
    key = "index_feedback_depth_1pct"
    depth = summary.get(key if market == summary.get("market") else f"{market}.{key}")
    if told.get("enabled") is False or not told.get("decay") or not depth:
        return None
    decay_s = tuple(parse_duration(str(each)) / SECOND_NS for each in told["decay"])
    return IndexFeedback(float(depth), decay_s, tuple(map(float, told["weights"])))


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
    data = read_yaml(checked(path))
    if not isinstance(data, dict):
        raise RunDirectoryError(f"{path}: not a mapping")
    return data


def _read_parquet(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not pq.read_table: it imports pyarrow.dataset, and with it pandas, which costs a second.
    tables = [pq.ParquetFile(checked(path)).read(columns=list(columns) if columns else None) for path in paths]
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


def _read_maps(path: Path) -> dict[str, LiquidationMap]:
    if not path.is_file():
        return {}
    with np.load(checked(path), allow_pickle=False) as archive:
        return _maps_of(archive)


def _maps_of(archive: Mapping[str, NDArray[Any]]) -> dict[str, LiquidationMap]:
    """Maps by market.  One without a price bin, as runs of before have it where a tick is coarse, is none."""
    keys = ("time_s", "price_edges", "long_notional", "short_notional", "bid_depth", "ask_depth")
    return {
        name: LiquidationMap(**{key: np.asarray(archive[f"{name}/{key}"], np.float64) for key in keys})
        for name in map(str, archive["markets"])
        if f"{name}/time_s" in archive and len(archive[f"{name}/price_edges"]) > 1
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
