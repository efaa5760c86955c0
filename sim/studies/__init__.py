"""What one does with runs: run, resume, sweep, tipping point, twins, first passage.

With `cli` the only room that imports agents and analysis.
"""
