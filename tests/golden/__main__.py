"""Writes the table of golden digests again: `python -m tests.golden WHY`.  Only after a mechanism has changed.

WHY, for the runs that moved: the new `MODEL_VERSION` and the mechanism, "4: what a print has reached is due".
"""

import sys
from dataclasses import asdict, replace

import yaml

from tests.golden import TABLE, simulated, table

COMMENT = "# Written by `python -m tests.golden WHY`: only when a mechanism changes (see tests/golden/__init__.py).\n"


def main() -> None:
    """Simulate every run of the table, the long ones too, and write what came out."""
    (why,) = sys.argv[1:]
    rows = []
    for case in table():
        found = simulated(case)
        new = case if found == case.found else replace(case, found=found, moved=why)
        print(f"{'same' if new is case else 'MOVED'} {new.name} {new.found}", flush=True)
        rows.append({key: value for key, value in asdict(new).items() if value != ""})
    TABLE.write_text(COMMENT + yaml.safe_dump(rows, sort_keys=False, width=200, default_flow_style=None))


if __name__ == "__main__":
    main()
