"""Where forced sales wait: the true map and its clusters, what an outsider would know of it, what came true.

Pure functions of one market's frames.  Where a run kept no positions they return something empty that says why
(`missing`) instead of failing.
"""

from marginquake.analysis.levels.came_true import ClusterOutcome, MapForecast, map_forecasts
from marginquake.analysis.levels.entries import EntryMap, EntryPeak, entry_map, entry_peaks
from marginquake.analysis.levels.ladder import Ladder, Rung, ladder
from marginquake.analysis.levels.outsider_map import (
    ASSUMED,
    Assumed,
    MapError,
    map_error,
    outsider_errors,
    outsider_map,
    seeded_share,
)
from marginquake.analysis.levels.positions import Positions, positions_at, snapshot_times
from marginquake.analysis.levels.true_map import (
    BANDS,
    Band,
    Cluster,
    Concentration,
    LevelMap,
    concentration,
    crowded_runs,
    find_clusters,
    map_of,
    true_map,
)

__all__ = [
    "ASSUMED",
    "BANDS",
    "Assumed",
    "Band",
    "Cluster",
    "ClusterOutcome",
    "Concentration",
    "EntryMap",
    "EntryPeak",
    "Ladder",
    "LevelMap",
    "MapError",
    "MapForecast",
    "Positions",
    "Rung",
    "concentration",
    "crowded_runs",
    "entry_map",
    "entry_peaks",
    "find_clusters",
    "ladder",
    "map_error",
    "map_forecasts",
    "map_of",
    "outsider_errors",
    "outsider_map",
    "positions_at",
    "seeded_share",
    "snapshot_times",
    "true_map",
]
