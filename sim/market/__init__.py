"""What a participant may know and say: view, orders, context, random streams.  Sees core, kernels."""
