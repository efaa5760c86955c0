"""What a replay's price file was found to be: kept in the scenario, and said to whoever reads it."""

from collections.abc import Iterator

from marginquake.sim.assets.price_path import PricePath, ReplayConfig
from marginquake.sim.assets.price_times import EPOCH, ISO, UNITS, format_time, unit_by_size
from marginquake.sim.core.fields import DURATION_UNITS
from marginquake.sim.core.problems import ScenarioWarning, shown_path
from marginquake.sim.scenario.checks import REPLAY_AT, path_of_replay
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.scenario.yaml_tree import Node

_BEGINNINGS = ("open", "start", "begin")
"""Names of times at which a candle begins."""
_KNOWN_AT_THE_END = ("close", "high", "low", "last", "vwap")


def settle_replay(market: MarketConfig) -> MarketConfig:
    """The market with the unit, the form, the span and the content of its price file written down."""
    config = market.index.fundamental
    if not isinstance(config, ReplayConfig):
        return market
    path = path_of_replay(config)
    found = path.recording
    is_export = config.format is not None and config.format not in (*UNITS, ISO, EPOCH)
    settled = config.model_copy(
        update={
            "format": config.format if is_export else found.format,
            "time_unit": found.unit,
            "points": len(path.times_ns),
            "span": path.span_ns,
            "sha256": path.sha256,
        }
    )
    index = market.index.model_copy(update={"fundamental": settled})
    return market.model_copy(update={"index": index})


def replay_notes(market: MarketConfig, tree: Node) -> Iterator[str]:
    """How much a price file holds, what is missing in it, and where its unit of time changes."""
    config = market.index.fundamental
    if not isinstance(config, ReplayConfig):
        return
    path = path_of_replay(config)
    yield _note(tree, f"{config.file}: {held(path)}")
    if path.recording.gaps:
        yield _note(tree, _gaps(path, config.file))
    changes_at = path.recording.unit_changes_at
    if changes_at:
        yield _note(tree, f"{config.file}:{changes_at}: times change their unit here; each is read by its size")


def replay_warnings(market: MarketConfig, tree: Node, duration_ns: int) -> Iterator[ScenarioWarning]:
    """What can be replayed but is hardly meant: another unit of time, a price before it was known."""
    config = market.index.fundamental
    if not isinstance(config, ReplayConfig):
        return
    path = path_of_replay(config)
    found = path.recording
    if not any(time_ns <= duration_ns for time_ns in path.times_ns[1:]):
        named = "" if found.unit == ISO else f"; times are read as {found.unit}: time_unit names another unit"
        first = spoken_duration(path.times_ns[1])
        message = f"no point of the path but the first lies within the run: the next comes after {first}{named}"
        yield _warning(tree, message)
    by_size = unit_by_size(found.first_time)
    if found.unit in UNITS and by_size not in (None, found.unit):
        message = f"time {found.first_time} is read as {found.unit}, as `time_unit` says; by its size it is {by_size}"
        yield _warning(tree, message)
    if found.format == "points" and _looks_ahead(found.time_name, found.price_name):
        way_out = f"leave out both columns, or write time_column: close_time, and {found.price_name} acts at the end"
        yield _warning(tree, f"{found.price_name} acts at {found.time_name}, before it was known", way_out)


def held(path: PricePath) -> str:
    """`61 points over 1h, 2024-08-05 00:00:00 to 2024-08-05 01:00:00 (60 candles of 1min, times in ms)`."""
    found = path.recording
    what = f"times {_in_words(found.unit)}"
    if found.format == "candles":
        every = spoken_duration(found.interval_ns)
        what = f"{found.rows} candles of {every}, each close at the end of its candle; {what}"
    if found.newest_first:
        what += "; newest first, so read from its end"
    when = f"{format_time(found.first_ns)} to {format_time(found.last_ns)}"
    return f"{len(path.times_ns)} points over {spoken_duration(path.span_ns)}, {when} ({what})"


def spoken_duration(length_ns: int) -> str:
    """`53min 59s`: as `parse_time` reads it."""
    parts = []
    for unit in ("d", "h", "min", "s", "ms", "us", "ns"):
        count, length_ns = divmod(length_ns, DURATION_UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def _in_words(unit: str) -> str:
    return {ISO: "as dates", EPOCH: "by size"}.get(unit, f"in {unit}")


def _gaps(path: PricePath, file: str) -> str:
    found = path.recording
    longest = max(found.gaps, key=lambda gap: gap.length_ns)
    missing = sum(gap.missing for gap in found.gaps)
    what = "candle" if found.format == "candles" else "row"
    return (
        f"{file}:{longest.line}: {missing} {what}{'s' if missing > 1 else ''} of {spoken_duration(found.interval_ns)} "
        f"missing in {len(found.gaps)} gap{'s' if len(found.gaps) > 1 else ''}; the longest "
        f"({spoken_duration(longest.length_ns)}) begins after {format_time(longest.time_ns)}; a bridge crosses them"
    )


def _looks_ahead(time_name: str, price_name: str) -> bool:
    """A price that is known at the end of a candle, at the time of its beginning."""
    begins = any(word in time_name.casefold() for word in _BEGINNINGS)
    return begins and any(word in price_name.casefold() for word in _KNOWN_AT_THE_END)


def _note(tree: Node, message: str) -> str:
    """On the line of `file`."""
    node = _file(tree)
    return f"{node.place}: {shown_path(node.path)}: {message}"


def _warning(tree: Node, message: str, way_out: str = "") -> ScenarioWarning:
    node = _file(tree)
    return ScenarioWarning("price_file", node.place, shown_path(node.path), message, way_out)


def _file(tree: Node) -> Node:
    """Where the file is named, or where that would be."""
    node = tree
    for key in (*REPLAY_AT, "file"):
        node = node.child(key) or node
    return node
