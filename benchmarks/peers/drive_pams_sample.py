"""PAMS' sample market CI2002: 100 FCN agents, one limit order a step.  Arguments: steps that are timed, a seed.

The numbers are those of samples/CI2002/config.json in its repository; without a logger, as fast as it goes.
"""

import json
import random
import sys
import time
import warnings
from importlib import metadata

from pams.runners import SequentialRunner

SETTLING_STEPS = 100
steps, seed = int(sys.argv[1]), int(sys.argv[2])
warnings.simplefilter("ignore")


def sessions(timed: int) -> list[dict[str, object]]:
    """The sample's two: orders pile up, then they are executed."""
    return [
        {"sessionName": 0, "iterationSteps": SETTLING_STEPS, "withOrderPlacement": True, "withOrderExecution": False,
         "withPrint": False},
        {"sessionName": 1, "iterationSteps": timed, "withOrderPlacement": True, "withOrderExecution": True,
         "withPrint": False},
    ]  # fmt: skip


runner = SequentialRunner(
    settings={
        "simulation": {"markets": ["Market"], "agents": ["FCNAgents"], "sessions": sessions(steps)},
        "Market": {"class": "Market", "tickSize": 0.00001, "marketPrice": 300.0},
        "FCNAgents": {
            "class": "FCNAgent",
            "numAgents": 100,
            "markets": ["Market"],
            "assetVolume": 50,
            "cashAmount": 10000,
            "fundamentalWeight": {"expon": [1.0]},
            "chartWeight": {"expon": [0.0]},
            "noiseWeight": {"expon": [1.0]},
            "meanReversionTime": {"uniform": [50, 100]},
            "noiseScale": 0.001,
            "timeWindowSize": [100, 200],
            "orderMargin": [0.0, 0.1],
        },
    },
    prng=random.Random(seed),
)
runner._setup()
started = time.process_time()
runner._run()
seconds = time.process_time() - started
market = runner.simulator.markets[0]
total = steps + SETTLING_STEPS
times = range(total)
print(
    json.dumps(
        {
            "version": metadata.version("pams"),
            "steps": total,
            "seconds": seconds,
            "orders": sum(market.get_n_buy_orders(times)) + sum(market.get_n_sell_orders(times)),
            "volume": sum(market.get_executed_volumes(times)),
        }
    )
)
