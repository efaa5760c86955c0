"""Scenarios that are valid but hardly meant, and what they expect.

# warn: 7: index.shocks.0.log_return: value 2: a move of      a line of this file, the beginning of the warning
# warn: bases/shocked.yaml:4: index.shocks.0.log_return       a line of a file it extends
# warn: --set duration=20s: ...                               an override, given by
# set: duration=20s
# measured: 6: fuel_ratio: value 0.5: ... [fuel_halves]       what only a run can tell: beginning and end
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.paths import UNLIKELY_SCENARIOS

UNLIKELY = sorted(UNLIKELY_SCENARIOS.glob("*.yaml"))
MEASURED = [path for path in UNLIKELY if "# measured: " in path.read_text()]


def overrides_of(path: Path) -> list[str]:
    """The `--set` arguments that a file asks for."""
    return list(_comments(path, "set"))


def expected(path: Path, word: str) -> list[str]:
    """The warnings that a file expects, as they are printed."""
    found = []
    for text in _comments(path, word):
        place, separator, rest = text.partition(": ")
        if text.startswith("--set "):
            setting = next(each for each in overrides_of(path) if text.startswith(f"--set {each}: "))
            place, separator, rest = f"--set {setting}", ": ", text.removeprefix(f"--set {setting}: ")
        elif place.isdigit():
            place = f"{path}:{place}"
        else:
            place = f"{UNLIKELY_SCENARIOS}/{place}"
        found.append(f"{place}{separator}warning: {rest}")
    return found


def unmet_and_surplus(wanted: Sequence[str], got: Sequence[str]) -> tuple[list[str], list[str]]:
    """Expectations that nothing meets, and warnings that nobody expects."""
    unmet = [text for text in wanted if not any(_meets(warning, text) for warning in got)]
    return unmet, [warning for warning in got if not any(_meets(warning, text) for text in wanted)]


def _meets(warning: str, wanted: str) -> bool:
    beginning, _, ending = wanted.partition(" ... ")
    return warning.startswith(beginning) and warning.endswith(ending)


def _comments(path: Path, word: str) -> Iterator[str]:
    for line in path.read_text().splitlines():
        if line.startswith(f"# {word}: "):
            yield line.removeprefix(f"# {word}: ")
