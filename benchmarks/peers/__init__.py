"""Other people's order books on stream A, each run by the Python of its own virtual environment.

The scripts `drive_*.py` import nothing of marginquake: only the peer, `stream.py` beside them and the standard library.
"""
