"""What a run keeps in memory while it goes: series, maps, positions, digest.  Reads venues, changes nothing."""
