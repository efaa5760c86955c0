"""What every block of a scenario is."""

from pydantic import BaseModel, ConfigDict

SECOND = 1_000_000_000
"""Nanoseconds."""


class Block(BaseModel):
    """A typo is an error, never a default; a loaded block never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
