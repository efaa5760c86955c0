"""Writes the table of golden digests again: `python -m tests.golden`.  Only after a mechanism has changed."""

from dataclasses import asdict, replace

import yaml

from tests.golden import TABLE, simulated, table

COMMENT = "# Written by `python -m tests.golden`: only when a mechanism changes (see tests/golden/__init__.py).\n"


def main() -> None:
    """Simulate every run of the table, the long ones too, and write what came out."""
    rows = []
    for case in table():
        new = replace(case, found=simulated(case))
        print(f"{'same' if new.found == case.found else 'MOVED'} {new.name} {new.found}", flush=True)
        rows.append(asdict(new))
    TABLE.write_text(COMMENT + yaml.safe_dump(rows, sort_keys=False, width=200, default_flow_style=None))


if __name__ == "__main__":
    main()
