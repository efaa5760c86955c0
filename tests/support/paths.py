"""Where the files of the repository are that tests read."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
DOCS = ROOT / "docs"

SCENARIOS = ROOT / "scenarios"
"""What is shipped."""

TEST_SCENARIOS = TESTS / "scenarios"
TINY = TEST_SCENARIOS / "tiny.yaml"
"""Twenty seconds of the smallest market that has everything; its fall calls some accounts."""
TINY_SWEEP = TEST_SCENARIOS / "tiny_sweep.yaml"
RUN_OVER = TEST_SCENARIOS / "run_over.yaml"
HEDGED_CROWD = TEST_SCENARIOS / "hedged_crowd.yaml"
INVALID_SCENARIOS = TESTS / "scenarios_invalid"
UNLIKELY_SCENARIOS = TESTS / "scenarios_unlikely"
"""Valid, but hardly meant: each says in its first lines which warnings it must get."""

VENUE_VECTORS = TESTS / "vectors" / "venue_vectors.json"
MATCHING_VECTORS = TESTS / "vectors" / "matching"
