"""docs/policies.md: every policy of scenarios/policies/ with its verdict over all of its seeds.

`python -m benchmarks.policies [NAME...] [--seeds N]` runs what is missing of the policies named (default all) below
runs/sweeps/ and writes the document from all that are finished.
"""

from collections.abc import Sequence

from benchmarks.comparisons import document
from benchmarks.studies.runs import ROOT
from marginquake.analysis.studies.comparison import to_markdown

HEAD = """# Policies

Written by `python -m benchmarks.policies`; do not edit. Each file of
[scenarios/policies](../scenarios/policies/README.md), where the statistics are explained, with its alternatives on the
same seeds: alternative minus baseline, mean over seeds with a 95 % interval.

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    folder = ROOT / "scenarios" / "policies"
    return document(folder, "policies.md", HEAD, __doc__, lambda each, _: to_markdown(each), arguments=arguments)


if __name__ == "__main__":
    raise SystemExit(main())
