"""Tests are a package, so that they share `tests.strategies`, `tests.ladder` and `tests.oracles`."""
