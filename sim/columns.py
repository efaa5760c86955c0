"""Tables that grow by a row at a time, at eight bytes a number."""

from array import array
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray


@final
class GrowingTable:
    """Columns of floats, by name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._rows = array("d")

    def append(self, row: Sequence[float]) -> None:
        """One more row: a number for each name.  Raises ValueError at another number of them."""
        if len(row) != len(self._names):
            raise ValueError(f"a row of {len(row)} numbers in a table of {len(self._names)} columns")
        self._rows.extend(row)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """A copy of each column."""
        rows = np.array(self._rows, np.float64).reshape(-1, len(self._names))
        return {name: rows[:, place].copy() for place, name in enumerate(self._names)}
