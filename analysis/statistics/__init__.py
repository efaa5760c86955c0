"""Estimators that know nothing of markets: intervals, bootstrap, tails, memory, regression."""
