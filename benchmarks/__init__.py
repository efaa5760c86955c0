"""Plain scripts that print a table; run as `python -m benchmarks.<name>`."""
