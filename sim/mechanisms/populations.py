"""A population by its name: it is not there.

Draws belong to a population's name and a place in it, so that nobody else draws otherwise; rows of accounts behind it
move up, which no draw depends on.
"""

from sim.mechanisms.mechanism import Mechanism


def removal(name: str) -> Mechanism:
    """The twin without this population."""
    return Mechanism(name, f"the {name.replace('_', ' ')}", lambda _: {f"populations.{name}": None})
