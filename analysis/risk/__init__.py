"""Risk numbers: margin-call probabilities against what came, margin-call pressure, clusters of volatility.

`assess` holds forecasts of several runs against what happened; `pressure` and `volatility_clusters` measure one run.
"""

from marginquake.analysis.risk.assessment import Assessment, Group, accounts_csv, assess, table_csv, to_csv
from marginquake.analysis.risk.call_forecasts import CallForecast, ForecastPlan, call_forecasts, call_probabilities
from marginquake.analysis.risk.excess import Excess, excess
from marginquake.analysis.risk.pressure import MOVES, Pressure, columns, pressure
from marginquake.analysis.risk.volatility import SOURCES, Clusters, volatility_clusters
from marginquake.analysis.statistics.reliability import Brier, brier, diagram, table_of

__all__ = [
    "MOVES",
    "SOURCES",
    "Assessment",
    "Brier",
    "CallForecast",
    "Clusters",
    "Excess",
    "ForecastPlan",
    "Group",
    "Pressure",
    "accounts_csv",
    "assess",
    "brier",
    "call_forecasts",
    "call_probabilities",
    "columns",
    "diagram",
    "excess",
    "pressure",
    "table_csv",
    "table_of",
    "to_csv",
    "volatility_clusters",
]
