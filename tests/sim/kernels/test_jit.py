"""The same events compiled, interpreted, with bounds checked, and with the public numba options only.

Each way runs in a process of its own: numba reads its settings when it is imported.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.stream_digest import fixed_stream_digest

STEPS = 500
OURS = ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK", "MARGINQUAKE_PLAIN_NJIT")


def digest_in_another_process(inverse: bool = False, **settings: str) -> tuple[str, str]:
    """(compiled or interpreted, digest)."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | settings
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.stream_digest", str(STEPS), *(["inverse"] if inverse else [])],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    way, digest = done.stdout.split()
    return way, digest


def test_another_process_gives_the_same_events() -> None:
    assert digest_in_another_process() == ("compiled", fixed_stream_digest(STEPS))


@pytest.mark.parametrize("inverse", [False, True])
def test_interpreted_kernels_give_the_same_events(inverse: bool) -> None:
    found = digest_in_another_process(inverse, NUMBA_DISABLE_JIT="1")
    assert found == ("interpreted", fixed_stream_digest(STEPS, inverse))


@pytest.mark.slow
def test_no_kernel_reads_outside_its_arrays() -> None:
    assert digest_in_another_process(NUMBA_BOUNDSCHECK="1") == ("compiled", fixed_stream_digest(STEPS))


@pytest.mark.slow
def test_the_public_compiler_options_give_the_same_events() -> None:
    """Without the project decorator's private options the kernels are slower, and no different.

    They need a cache of their own: numba would take those compiled with the private options for them.
    """
    base = os.environ.get("MARGINQUAKE_CACHE") or Path.home() / ".cache" / "marginquake"
    found = digest_in_another_process(MARGINQUAKE_PLAIN_NJIT="1", MARGINQUAKE_CACHE=str(Path(base) / "plain"))
    assert found == ("compiled", fixed_stream_digest(STEPS))


def test_the_digest_tells_streams_apart() -> None:
    assert fixed_stream_digest(STEPS) != fixed_stream_digest(STEPS - 1)
    assert fixed_stream_digest(STEPS) != fixed_stream_digest(STEPS, inverse=True)
