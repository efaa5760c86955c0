"""One result of `marginquake counterfactual`, as it lies in `RUN/counterfactuals/<key>.json` (runs/README.md)."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.analysis.studies.twins.effects import Effect
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.stored_text import read_json
from marginquake.sim.core.price_moves import Direction
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.fingerprints import is_as_written, with_own_hash

FOLDER: Final = "counterfactuals"
FORMAT: Final = 3
"""Version of the file; others are not read."""
MOST_SAMPLES: Final = 600
"""Points of the series that are kept."""


@final
@dataclass(frozen=True)
class Cell:
    """The same seeds with the mechanisms in `without` off.  `moves`: fall or rise of every seed, a fraction of the
    start; `runs`: names of the run directories; `digests`: of their events."""

    without: tuple[str, ...]
    moves: tuple[float, ...]
    runs: tuple[str, ...]
    digests: tuple[str, ...]


@final
@dataclass(frozen=True)
class TwinResult:
    """One market of a run and its twins.  `cells[0]` is the market as it was, `effects[0]` what the mechanisms in
    `without` did.

    `direction`: the side that is compared: falls, or rises where most was bought by force.  `forced_volume_share`,
    `stop_volume_share`: of what takers sold (bought) on the way, with everything on.  The series are the first seed's,
    thinned; `event_digest` is that of the run they belong to.
    """

    without: tuple[str, ...]
    run: str
    event_digest: str
    market: str
    direction: Direction
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    effects: tuple[Effect, ...]
    forced_volume_share: Estimate
    stop_volume_share: Estimate
    time_s: tuple[float, ...]
    price_with: tuple[float, ...]
    price_without: tuple[float, ...]

    @property
    def key(self) -> str:
        """Name of its file."""
        return key_of(self.without)

    @property
    def fall_with(self) -> float:
        """Fall (or rise) of the first seed with everything on, a fraction of its start."""
        return self.cells[0].moves[0]

    @property
    def fall_without(self) -> float:
        """Fall (or rise) of the first seed with `without` off."""
        return self.cells[1].moves[0]

    @property
    def amplification(self) -> Estimate:
        """Fall with / fall without: geometric mean over seeds."""
        return self.effects[0].amplification

    @property
    def forced_share(self) -> Estimate:
        """1 - fall without / fall with: the part of the fall that goes with the mechanisms in `without`."""
        return self.effects[0].share


def key_of(without: Sequence[str]) -> str:
    """`liquidation+stops`: the same mechanisms in any order have one key."""
    return "+".join(sorted(without))


def thinned(times: Floats, first: Floats, second: Floats) -> tuple[list[float], list[float], list[float]]:
    """At most about `MOST_SAMPLES` points of two series, the extremes of both among them."""
    stride = max(1, math.ceil(len(times) / MOST_SAMPLES))
    keep = set(range(0, len(times), stride)) | {len(times) - 1}
    for prices in (first, second):
        if np.isfinite(prices).any():
            keep |= {int(np.nanargmin(prices)), int(np.nanargmax(prices))}
    places = np.array(sorted(keep))
    return times[places].tolist(), first[places].tolist(), second[places].tolist()


def path_of(run: Path, without: Sequence[str]) -> Path:
    """Where a run keeps what is known of its twins without these."""
    return run / FOLDER / f"{key_of(without)}.json"


def lost_by(fresh: Sequence[TwinResult], kept: Sequence[TwinResult]) -> str:
    """What would be lost if `fresh` took the place of `kept`, in words: seeds and cells; empty if nothing."""
    if not kept or not fresh:
        return ""
    seeds = sorted(set(kept[0].seeds) - set(fresh[0].seeds))
    cells = [cell.without for cell in kept[0].cells if cell.without not in [own.without for own in fresh[0].cells]]
    lost = [f"seeds {', '.join(map(str, seeds))}"] if seeds else []
    lost += [f"the twins without {' and '.join(cell)}" for cell in cells]
    return ", ".join(lost)


def write_twin(results: Sequence[TwinResult], run: Path) -> Path:
    """Write the results of all markets into their run, whole or not at all; those of before are replaced."""
    path = path_of(run, results[0].without)
    disk.make_folders(path.parent)
    content = {"format": FORMAT, "key": results[0].key, "markets": [asdict(result) for result in results]}
    disk.write_whole(path, json.dumps(with_own_hash(_plain(content)), indent=1, allow_nan=False) + "\n")
    return path


def known_twins(run: RunFrames) -> tuple[TwinResult, ...]:
    """What has been found of a run's twins, by key; results of other events or of another format are left out."""
    files = sorted((run.path / FOLDER).glob("*.json"))
    digest = run.manifest.get("event_digest", run.summary.get("event_digest"))
    return tuple(each for file in files for each in read_twin(file) if each.event_digest == digest)


def read_twin(path: Path) -> tuple[TwinResult, ...]:
    """One file, a result a market; none if another version of marginquake wrote it."""
    try:
        content = read_json(path)
        return tuple(map(_market, content["markets"])) if content["format"] == FORMAT and is_as_written(content) else ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirectoryError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); delete it and run `marginquake counterfactual`"
        ) from error


def _market(content: Mapping[str, Any]) -> TwinResult:
    return TwinResult(
        without=tuple(content["without"]),
        run=content["run"],
        event_digest=content["event_digest"],
        market=content["market"],
        direction=content["direction"],
        seeds=tuple(content["seeds"]),
        cells=tuple(
            Cell(tuple(cell["without"]), _numbers(cell["moves"]), tuple(cell["runs"]), tuple(cell["digests"]))
            for cell in content["cells"]
        ),
        effects=tuple(_effect(each) for each in content["effects"]),
        forced_volume_share=_estimate(content["forced_volume_share"]),
        stop_volume_share=_estimate(content["stop_volume_share"]),
        time_s=_numbers(content["time_s"]),
        price_with=_numbers(content["price_with"]),
        price_without=_numbers(content["price_without"]),
    )


def _effect(content: Mapping[str, Any]) -> Effect:
    estimates = {name: _estimate(content[name]) for name in ("amplification", "share", "ratio_of_means", "points")}
    return Effect(
        of=tuple(content["of"]), given=tuple(content["given"]), n=content["n"], unchanged=content["unchanged"],
        **estimates,
    )  # fmt: skip


def _estimate(content: Mapping[str, Any]) -> Estimate:
    return Estimate(*_numbers([content["value"], content["low"], content["high"]])) if content else UNKNOWN


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if value is None else float(value) for value in values)


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
