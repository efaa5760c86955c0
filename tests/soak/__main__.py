"""`python -m tests.soak --hours 2`: seeds without end; `--seed 123`: one of them again, with all it has to say."""

import argparse
import sys
from pathlib import Path

from tests.soak.fleet import do_one, serve, soak

HOUR_S = 3600.0


def main() -> int:
    """Exit status 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="a line of JSON for every seed is added to this file")
    parser.add_argument("--seed", type=int, help="do this one only")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return 0
    if arguments.seed is not None:
        outcome = do_one(arguments.seed)
        print(outcome.detail or f"{outcome.job}: {outcome.word}, {outcome.seconds:.1f} s")
        return int(bool(outcome.found))
    tally = soak(HOUR_S * arguments.hours, arguments.first_seed, arguments.log)
    print("\n".join(tally.lines()))
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
