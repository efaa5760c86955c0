"""Whole numbers in 64 bits: how large money and sizes may be, and casts that never wrap in silence."""
