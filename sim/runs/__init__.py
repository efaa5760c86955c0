"""One run on disk: directory, logs, checkpoint, provenance.  Sees core only."""
