"""Tables that grow by a row at a time, at eight bytes a number."""

from array import array
from collections.abc import Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray


@final
class GrowingTable:
    """Columns of floats; every row names all of them."""

    def __init__(self) -> None:
        self._columns: dict[str, array[float]] = {}

    def append(self, row: Mapping[str, float]) -> None:
        """One more row."""
        if not self._columns:
            self._columns = {name: array("d") for name in row}
        for name, value in row.items():
            self._columns[name].append(value)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """A copy of each column."""
        return {name: np.array(column, np.float64) for name, column in self._columns.items()}
