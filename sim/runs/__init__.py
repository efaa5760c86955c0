"""One run on disk: directory, logs, checkpoint, provenance, who is at it, what interrupts it.  Sees core only."""
