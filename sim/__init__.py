"""How a market works; knows nobody's strategy."""
