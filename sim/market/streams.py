"""Named, counter-based random streams from one seed.

A draw is addressed by (seed, stream name, counter, item), so a new population never shifts another's draws and a
twin run (same seed, one rule changed) differs only where the change bites.  `seed: 0` is a seed.
"""

import hashlib
from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.kernels import JIT, draws


@final
class Stream:
    """One named source of randomness. `counter` is usually the step; `first` separates uses within a step."""

    def __init__(self, seed: int, name: str) -> None:
        digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
        self.seed = seed
        self.name = name
        self.key = np.uint64(int.from_bytes(digest, "little"))

    def child(self, name: str) -> "Stream":
        """An independent stream below this one: `retail/entries`."""
        return Stream(self.seed, f"{self.name}/{name}")

    def uniform(self, counter: int, size: int, first: int = 0) -> Floats:
        """`size` uniforms in (0, 1) at (counter, first...)."""
        out = np.empty(size, np.float64)
        self.run(draws.fill_units, counter, first, out)
        return out

    def uniform_at(self, counter: int, items: Ints) -> Floats:
        """One uniform for each item (an account row, say); other items change none of them."""
        out = np.empty(len(items), np.float64)
        self.run(draws.fill_units_at, counter, items.astype(np.uint64), out)
        return out

    def normal(self, counter: int, size: int, first: int = 0) -> Floats:
        """`size` standard normals at (counter, first...)."""
        out = np.empty(size, np.float64)
        self.run(draws.fill_normals, counter, first, out)
        return out

    def exponential(self, counter: int, size: int, first: int = 0) -> Floats:
        """`size` exponentials of mean 1 at (counter, first...)."""
        return -np.log(self.uniform(counter, size, first))

    def poisson(self, counter: int, mean: float, item: int = 0) -> int:
        """One Poisson count of the given mean at (counter, item)."""
        return int(self.run(draws.poisson, counter, item, float(mean)))

    def words(self, counter: int, size: int, first: int = 0) -> NDArray[np.uint64]:
        """`size` words of 64 random bits at (counter, first...)."""
        out = np.empty(size, np.uint64)
        self.run(draws.fill_words, counter, first, out)
        return out

    def run(self, kernel: Callable[..., Any], counter: int, *arguments: Any) -> Any:
        """`kernel(key, counter, *arguments)`: a kernel that draws from this stream at `counter` by itself.

        Compiled kernels take Python ints as they are (numpy scalars cost 1 us each to unbox) and wrap in silence.
        """
        if JIT:
            return kernel(self.key, counter, *arguments)
        with np.errstate(over="ignore"):
            return kernel(self.key, _word(counter), *arguments)


@final
class Streams:
    """The seed's streams by name."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __getitem__(self, name: str) -> Stream:
        return Stream(self.seed, name)


def _word(value: int) -> np.uint64:
    return np.uint64(value & 0xFFFFFFFFFFFFFFFF)
