"""Processes that a test leads through their steps."""
