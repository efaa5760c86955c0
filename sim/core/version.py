"""Which program and which model made a run."""

__version__ = "0.1.0"

MODEL_VERSION = "4"
"""Raised whenever the same scenario and seed would give other events: it is part of a run's name, so that `--reuse`
never takes an old model's run for a new one's."""

SCHEMA_VERSION = 2
"""Layout of a run directory; raised when a reader of an older one would be wrong.  Since 2 the manifest lists every
file with its hash, and holds its own."""
