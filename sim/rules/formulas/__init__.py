"""Venues' own worked formulas, one file a venue: plain floats in quote units, each with its source and grade.

A simulated market calculates in integers and by one form of each rule (`sim.core.margin`, `sim.rules.formulas.prices`,
`sim.venue.waterfall`);
these are the forms in which venues publish theirs, for planning, pictures and tests.  Nothing here is part of a step.
`side` is +1 for a long and -1 for a short.  Equation numbers are those of docs/model.md.
"""
