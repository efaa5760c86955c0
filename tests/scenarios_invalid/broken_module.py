"""A module of a user that fails while it is imported."""

NONSENSE = 1 / 0
