"""Risk numbers: margin-call probabilities against what came, margin-call pressure, clusters of volatility.

`assess` holds forecasts of several runs against what happened; `pressure` and `volatility_clusters` measure one run.
"""

from analysis.risk.board import Assessment, Group, accounts_csv, assess, table_csv, to_csv
from analysis.risk.excess import Excess, excess
from analysis.risk.forecast import CallForecast, ForecastPlan, call_forecasts
from analysis.risk.pressure import MOVES, Pressure, columns, pressure
from analysis.risk.probability import call_probabilities
from analysis.risk.reliability import Brier, brier, diagram, table_of
from analysis.risk.volatility import SOURCES
from analysis.risk.volatility_clusters import Clusters, volatility_clusters

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
