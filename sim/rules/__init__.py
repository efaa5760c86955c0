"""What a venue may decide differently: mark, funding, margin, liquidation, ADL, faults.  Sees core."""
