"""What tests share: where files are, builders of markets, of orders and of frames, and what they are compared with."""
