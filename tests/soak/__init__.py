"""The fleet: random scenarios, streams of orders, kills, damage, without end, each reproduced by one seed.

`make soak HOURS=2`, or `python -m tests.soak --hours 2`; `python -m tests.soak --seed 123` is one of them again.
"""
