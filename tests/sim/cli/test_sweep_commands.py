"""Facts about `compare` and `sensitivity` on the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from marginquake.sim.cli import main
from tests.support.paths import TINY

TINY_SWEEP = TINY.parent / "tiny_sweep.yaml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, list(arguments))


@pytest.mark.slow
@pytest.mark.model
def test_compare_gives_a_verdict_in_words_and_a_report(tmp_path: Path) -> None:
    done = run("compare", str(TINY), "liquidation.enabled=false", "depth_1pct=1M", "--seeds", "3", "--set",
               "duration=8s", "--out", str(tmp_path), "--workers", "1")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("liquidation.enabled=false against tiny:")
    assert "depth_1pct=1M against tiny: identical on every seed in every metric" in done.stdout
    report = Path(lines[-1])
    text = report.read_text()
    assert "http" not in text.replace("http://www.w3.org", "")
    assert (report.parent / "figures" / "differences.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", str(TINY)), "compare it with what?"),
        (("compare", str(TINY), "nonsense"), "(an override is written path.to.field=value)"),
        (("compare", "nowhere.yaml", "a=1"), "no such file"),
        (("compare", str(TINY), "duraton=1s"), "duraton"),
        (("sweep", "nowhere.yaml"), "no such file"),
        (("sweep", str(TINY)), "axes"),
        (("sensitivity", str(TINY_SWEEP)), "design grid; Sobol indices need 'design: saltelli'"),
        (("plot", "nowhere", "--metric", "volume"), "belongs to sweeps"),
    ],
    ids=lambda item: item if isinstance(item, str) else " ".join(Path(part).name for part in item),
)
def test_mistakes_are_told_in_one_message_with_exit_status_2(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
