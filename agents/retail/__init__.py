"""The crowd and its habits, one file a habit."""
