"""Who trades: one file a participant type, one entry in `AGENT_TYPES`.  Sees sim.core, kernels, market, rules.

Whoever writes a trader imports from here: subclass `Participant`, give it a `ParticipantConfig`, and name it in YAML as
`type: module:Class`.
"""

from typing import Final

from marginquake.agents.arbitrageur import Arbitrageur
from marginquake.agents.background import Background
from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.chartist import Chartist
from marginquake.agents.contrarian import Contrarian
from marginquake.agents.fundamentalist import Fundamentalist
from marginquake.agents.hedger import Hedger
from marginquake.agents.hft import Hft
from marginquake.agents.liquidation_engine import LiquidationEngine
from marginquake.agents.market_maker import MarketMaker
from marginquake.agents.retail.retail import Retail
from marginquake.agents.whale import Whale
from marginquake.sim.core.account_book import Accounts
from marginquake.sim.core.fields import Amount, Duration, Fraction
from marginquake.sim.core.records import Flag, OrderKind, Side
from marginquake.sim.kernels import helper, kernel
from marginquake.sim.market.context import ParticipantContext, SeedPositions
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Trait

AGENT_TYPES: Final[dict[str, type[Participant]]] = {
    "arbitrageur": Arbitrageur,
    "background": Background,
    "chartist": Chartist,
    "contrarian": Contrarian,
    "fundamentalist": Fundamentalist,
    "hedger": Hedger,
    "hft": Hft,
    "liquidation_engine": LiquidationEngine,
    "market_maker": MarketMaker,
    "retail": Retail,
    "whale": Whale,
}
"""`type:` of a population -> its class.  `type: my_lab.herding:Herders` names one outside the repository."""

__all__ = [
    "AGENT_TYPES",
    "Accounts",
    "Amount",
    "Duration",
    "Flag",
    "Fraction",
    "MarketView",
    "OrderEntry",
    "OrderKind",
    "Participant",
    "ParticipantConfig",
    "ParticipantContext",
    "SeedPositions",
    "Side",
    "Trait",
    "helper",
    "kernel",
]
