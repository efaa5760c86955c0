"""The world outside venues: fundamental, index, spot, oracle.  Sees market, core."""
