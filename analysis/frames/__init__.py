"""A run directory as columns.  The only room that reads files of runs."""
