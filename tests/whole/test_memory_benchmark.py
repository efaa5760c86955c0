"""The benchmark of memory watches a real run."""

from pathlib import Path

from benchmarks.memory import draw, rows_of, watch
from tests.support.paths import TINY


def test_a_watched_run_gives_its_memory_its_events_and_a_figure(tmp_path: Path) -> None:
    runs = [watch(TINY, "20s", level) for level in ("fills", "all")]
    for seen in runs:
        assert seen.simulated_s[-1] == 20.0
        assert 50 < seen.resident_mb.min() <= seen.resident_mb.max() <= seen.peak_mb < 2000
    assert 0 < runs[0].events < runs[1].events
    assert [row.unit for row in rows_of(TINY, "20s", runs)] == ["x", "MB", "x", "MB"]
    draw(runs, "tiny", "20s", tmp_path / "memory.png")
    assert (tmp_path / "memory.png").stat().st_size > 10_000
