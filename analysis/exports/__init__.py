"""Runs in the forms of other programs: LOBSTER message and order-book files, events with words for codes."""
