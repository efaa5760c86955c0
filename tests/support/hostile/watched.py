"""The reader under watch: it has some seconds for a file, and is replaced when it does not come back."""

import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT, TINY

PATIENCE_S = 20.0
MORE_MB = 200
"""Than an idle reader has."""


class Watched:
    """Asks a reader in a process of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, kind: str, path: Path) -> dict[str, Any]:
        """What came of it; `late` where nothing came in time, `died` where the process did."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"kind": kind, "path": str(path)}) + "\n")
        process.stdin.flush()
        ready = select.select([process.stdout], [], [], PATIENCE_S + (60.0 if kind == "run" else 0.0))[0]
        line = process.stdout.readline() if ready else ""
        if line:
            answer = dict(json.loads(line))
            if answer["more_mb"] > MORE_MB:  # the peak stays, and would be counted against the next
                self.close()
            return answer
        self.close()
        return {"outcome": "died" if ready else "late", "told": [], "nodes": 0, "more_mb": 0.0}

    def close(self) -> None:
        """End the reader, whatever it is at."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.hostile.reader", str(TINY)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self._process
