"""Who trades: one file a participant type, one entry in `AGENT_TYPES`."""

from typing import Final

from agents.arbitrageur import Arbitrageur
from agents.background import Background
from agents.base import Participant, ParticipantConfig
from agents.chartist import Chartist
from agents.contrarian import Contrarian
from agents.fundamentalist import Fundamentalist
from agents.hedger import Hedger
from agents.hft import Hft
from agents.liquidation_engine import LiquidationEngine
from agents.market_maker import MarketMaker
from agents.retail import Retail
from agents.whale import Whale

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

__all__ = ["AGENT_TYPES", "Participant", "ParticipantConfig"]
