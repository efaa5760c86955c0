"""The command line: options, tables, exit codes; no arithmetic.  Sees everything."""
