"""What one run comes to: calls, liquidations, costs, profits, scorecard."""
