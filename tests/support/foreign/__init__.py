"""What somebody might send to do harm."""
