"""One venue at work: arrivals, exchange, mark, funding, margin calls, waterfall, audit.  Sees scenario and below."""
