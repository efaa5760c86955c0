"""Builders of the frames of runs that never ran, each from what its tests give by hand."""
