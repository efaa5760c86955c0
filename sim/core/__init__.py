"""Shared nouns, integers and exact arithmetic.  Imports nothing of ours."""
