"""What no scenario may ask for: amounts that do not fit in 64 bits, sizes that no machine can hold or run.

Hard bounds follow from arithmetic and are the same on every machine; what a run needs of this machine's memory is
estimated in `memory`, and refused where it is run, not where it is read.
"""
