"""report.html of a run: one file a section, one entry each."""
