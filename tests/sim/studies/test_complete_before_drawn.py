"""A run is complete under its name before any picture: whatever goes wrong while drawing leaves it so."""

import dataclasses
import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from marginquake.analysis.figures import FIGURES
from marginquake.analysis.presentation import png
from marginquake.analysis.report import run_report, sections
from marginquake.sim.runs import directory
from marginquake.sim.studies import run as running
from tests.support.command_line import marginquake
from tests.support.paths import ROOT, TINY

pytestmark = pytest.mark.model
SHORT = ("--set", "duration=1s", "--set", "warmup=1s", "--set", "index.shocks=[]", "--name", "short", "--out")


def break_figure(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setitem(FIGURES, name, dataclasses.replace(FIGURES[name], draw=fail))


@pytest.mark.parametrize(
    ("name", "error"),
    [("price", ValueError("zero-size array")), ("leverage", MemoryError()), ("price", OSError(28, "No space left"))],
)
def test_a_figure_that_fails_is_left_out_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    break_figure(monkeypatch, name, error)
    result = marginquake("run", TINY, *SHORT, tmp_path)
    path = tmp_path / "short"
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, str(path)), result.output
    assert directory.is_complete(path)
    assert not (path / "figures" / f"{name}.png").exists()
    assert (path / "figures" / "liquidity.png").exists()
    line = f"left out: figure {name} ({type(error).__name__}"
    assert next(text for text in result.stderr.splitlines() if text.startswith("left out")).startswith(line)
    assert line in (path / "report.html").read_text()
    [noted] = directory.read_manifest(path)["left_out"]
    assert noted.startswith(line)
    plotted = marginquake("plot", "short", "--out", tmp_path)
    assert (plotted.exit_code, line in plotted.stderr) == (0, True)
    assert f"{path / 'figures' / 'liquidity.png'}" in plotted.stdout.splitlines()


def test_a_figure_that_cannot_say_whether_it_applies_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> bool:
        raise IndexError("nobody there")

    monkeypatch.setitem(FIGURES, "crowd", dataclasses.replace(FIGURES["crowd"], applies=fail))
    result = marginquake("run", TINY, *SHORT, tmp_path, "--quiet")
    assert result.exit_code == 0
    assert result.stderr == "left out: figure crowd (IndexError: nobody there)\n"


def test_a_section_that_fails_is_left_out_of_the_page_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise KeyError("odd")

    broken = [
        dataclasses.replace(section, content=fail) if section.name == "liquidity" else section
        for section in sections.SECTIONS
    ]
    monkeypatch.setattr(run_report, "SECTIONS", tuple(broken))
    result = marginquake("run", TINY, *SHORT, tmp_path, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "left out: section Liquidity (KeyError: 'odd')\n")
    page = (tmp_path / "short" / "report.html").read_text()
    assert "section Liquidity (KeyError" in page
    assert 'id="market0-liquidity"' not in page
    assert 'id="market0-scorecard"' in page
    again = marginquake("report", "short", "--out", tmp_path)
    assert (again.exit_code, again.stderr) == (0, result.stderr)


def test_a_report_that_cannot_be_made_leaves_run_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> Any:
        raise RuntimeError("no template")

    monkeypatch.setattr(run_report, "template", fail)
    result = marginquake("run", TINY, *SHORT, tmp_path, "--quiet")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'short'}\n")
    assert result.stderr == "left out: report (RuntimeError: no template)\n"
    assert list((tmp_path / "short" / "figures").glob("*.png"))
    assert not (tmp_path / "short" / "report.html").exists()


def test_a_disk_that_is_full_while_drawing_leaves_the_run_and_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for module in (png, run_report):
        monkeypatch.setattr(module, "write_whole", full)
    monkeypatch.setattr(directory, "write_manifest", full)
    result = marginquake("run", TINY, *SHORT, tmp_path, "--quiet")
    assert result.exit_code == 0
    [line] = result.stderr.splitlines()
    assert line.startswith("left out: figure price, figure liquidation_map, ")
    assert line.endswith("report (OSError: [Errno 28] No space left on device)")
    assert directory.is_complete(tmp_path / "short")
    assert list((tmp_path / "short" / "figures").iterdir()) == []


@pytest.mark.parametrize("checkpoints", [None, "1s"])
def test_ctrl_c_while_drawing_says_that_the_run_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoints: str | None
) -> None:
    options = () if checkpoints is None else ("--checkpoint-every", checkpoints)
    with monkeypatch.context() as patch:
        break_figure(patch, "leverage", KeyboardInterrupt())
        result = marginquake("run", TINY, *SHORT, tmp_path, "--quiet", *options)
    path = tmp_path / "short"
    assert result.exit_code == 130
    assert result.stderr.startswith(f"interrupted while its pictures were drawn; the run is complete: {path}; ")
    assert directory.is_complete(path)
    assert [each.name for each in tmp_path.iterdir()] == ["short"]
    again = marginquake("run", TINY, *SHORT, tmp_path, "--quiet", "--reuse")
    assert (again.exit_code, again.stdout) == (0, f"{path}\n")
    assert (path / "report.html").is_file(), "reuse draws what is missing"


def test_a_run_killed_while_drawing_is_complete_and_resume_draws(tmp_path: Path) -> None:
    code = f"""
import os, signal
from marginquake.analysis.figures import draw
from marginquake.sim.studies import run as running
draw.draw_figure = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
running.run({str(TINY)!r}, out={str(tmp_path)!r}, name="tiny", checkpoint_every="10s")
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert [each.name for each in tmp_path.iterdir()] == ["tiny"]
    assert directory.is_complete(tmp_path / "tiny")
    resumed = running.resume(tmp_path / "tiny")
    assert resumed.reused
    assert (tmp_path / "tiny" / "report.html").is_file()


def test_a_run_that_wanted_no_pictures_gets_none_when_it_is_resumed(tmp_path: Path) -> None:
    made = running.run(TINY, out=tmp_path, name="tiny", figures=False, checkpoint_every="10s")
    assert running.resume(made.path).path == made.path
    assert not (made.path / "report.html").exists()


def test_a_figure_asked_for_by_name_that_fails_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marginquake("run", TINY, *SHORT, tmp_path, "--quiet", "--no-figures")
    break_figure(monkeypatch, "price", ValueError("zero-size array"))
    result = marginquake("plot", "short", "--figure", "price", "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "zero-size array" in result.stderr
