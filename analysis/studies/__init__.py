"""Many runs: sweeps, comparisons, twins, tipping points.  Mirrors `sim.studies`."""
