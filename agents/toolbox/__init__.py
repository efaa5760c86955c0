"""What several participants use: indicators, one order at a time, kernels of flow and quotes."""
