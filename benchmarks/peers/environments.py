"""A virtual environment for each peer, under runs/bench/venvs, made on first use with plain pip."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
VENVS = Path("runs/bench/venvs")
INSTALL_TIMEOUT_S = 300


class PeerMissing(Exception):
    """A peer cannot be measured here; the message says why."""


def python_of(distribution: str) -> Path:
    """The Python that has `distribution`, installed now if it is not there yet."""
    folder = VENVS / distribution
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    if stamp.is_file():
        return python.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", distribution]
    try:
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=INSTALL_TIMEOUT_S, env=_environment()
            )
    except subprocess.CalledProcessError as error:
        raise PeerMissing(f"does not install: {_reason(error.stderr)}") from None
    except subprocess.TimeoutExpired:
        raise PeerMissing(f"does not install within {INSTALL_TIMEOUT_S} s") from None
    stamp.touch()
    return python.absolute()


def run_driver(distribution: str, driver: str, *arguments: str) -> dict[str, Any]:
    """What a script of this folder prints, run by the peer's Python in a process of its own."""
    command = [str(python_of(distribution)), str(HERE / driver), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment())
    if done.returncode:
        raise PeerMissing(f"its driver failed: {_reason(done.stderr)}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _environment() -> dict[str, str]:
    """Ours without the path to marginquake: a peer sees nothing but itself."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def _reason(said: str) -> str:
    """The line of stderr that says what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1]
