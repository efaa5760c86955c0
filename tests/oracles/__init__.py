"""Naive twins: the market's rules in plain Python, written to be obvious.  The kernels are compared with them."""
