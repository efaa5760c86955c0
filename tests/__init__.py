"""Tests are a package, so that they share `tests.support.strategies`, `tests.support.ladder` and `tests.oracles`."""
