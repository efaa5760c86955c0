"""Seeded studies: what is run, on which seeds, and the section of docs/validation.md that reports it.

A study is one file and one entry in `benchmarks.validate.STUDIES`: `jobs(scale)` names its runs, and
`report(runs, scale)` turns what they kept into text and says whether every claim it makes is met.
"""
