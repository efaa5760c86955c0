"""One venue at work: arrivals, exchange, mark, margin calls, waterfall, audit.  Sees scenario and rooms below it."""
