"""Folders of runs that somebody might send to do harm, and every command of the command line over them.

`python -m tests.support.foreign.runs BASE WORLD WAYS KIND...` makes, for each kind, a foreign folder from the run
directory BASE below WORLD, runs all commands in it, each in at most so many ways, in this process under an audit hook,
and prints what came of it as JSON.
"""

import contextlib
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.faults.seals import seal_run, sealed_checkpoint
from tests.support.foreign.pickles import ATTACKS, whole

SECONDS = 60
"""A command may take so long, and none comes near it."""
MEMORY = 3 * 2**30
"""Bytes for all commands together."""
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
ESCAPES = "\x1b]0;owned\x07\x1b[31m=cmd|' /C calc'!A0 $\\frac{1}{$"
CODE = """\
from pathlib import Path
Path({marker!r}).write_text("executed")
from marginquake.agents import *
from marginquake.sim.rules import *
class X: pass
Rule = Trader = Fault = Path_ = Distribution_ = X
"""
USER_CLASSES = """
python_path: [{here}, /tmp]
venue:
  mark: {{rule: 'innocent:Rule'}}
  funding: {{rule: 'innocent:Rule'}}
  maintenance: {{rule: 'innocent:Rule'}}
  initial: {{rule: 'innocent:Rule'}}
  adl: {{trigger: 'innocent:Rule', ranking: 'innocent:Rule', allocation: 'innocent:Rule'}}
liquidation: {{procedure: 'innocent:Rule'}}
faults: [{{type: 'innocent:Fault', at: 1s, for: 1s}}]
index: {{fundamental: {{type: 'innocent:Path_'}}}}
populations:
  mine: {{type: 'innocent:Trader', accounts: 3}}
  yours: {{type: retail, accounts: 3, leverage: {{distribution: 'innocent:Distribution_', x: 2}}}}
"""
ACTING = ("os", "posix", "subprocess", "sys", "shutil", "webbrowser", "importlib", "runpy")
"""Modules that nothing of ours takes out of a pickle; numba's own, in its cache, are not among them."""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{now}: &{now} [{', '.join([f'*{before}'] * 10)}]\n" for before, now in zip("abcdefgh", "bcdefghi", strict=True)
)

COMMANDS: dict[str, list[list[str]]] = {
    "run": [["{resolved}", "--no-figures"], ["--resume", "{partial}"], ["--resume", "{run}"]],
    "new": [["fresh", "--from", "{resolved}"]],
    "validate": [["{resolved}", "{source}", "--no-rehearsal"], ["{resolved}", "--strict"]],
    "schema": [[]],
    "show": [["{run}"], ["{partial}"]],
    "plot": [["{run}", "--figure", "price"], ["{sweep}"], ["{run}"]],
    "report": [["{run}"], ["{sweep}"]],
    "facts": [["{run}", "--csv", "facts.csv"]],
    "replay": [["{run}"], ["{partial}"]],
    "list": [["scenarios"], ["runs"], ["--twins"], []],
    "clean": [["--keep", "5", "--twins", "--dry-run"], ["--keep", "5", "--twins"]],
    "watch": [["{resolved}", "--plain"]],
    "sweep": [["{sweep}/sweep.yaml", "--dry-run"], ["{sweep}/sweep.yaml", "--resume", "--limit", "0"]],
    "compare": [["{resolved}", "no.such.field=1", "--seeds", "2"], ["{sweep}/sweep.yaml"]],
    "tipping": [["{resolved}", "--parameter", "depth_1pct", "--between", "1M", "2M", "--name", "evil", "--dry-run"]],
    "sensitivity": [["{sweep}/sweep.yaml"]],
    "explain": [["{run}"]],
    "counterfactual": [
        ["{run}", "--without", "nothing", "--workers", "1"],
        ["{resolved}", "--without", "x"],
        ["{run}"],
    ],
    "clusters": [["{run}", "--csv", "clusters.csv"]],
    "risk": [["{run}", "--csv", "risk.csv"]],
    "early-warning": [["{run}", "{run}"]],
    "liquidations": [["{run}", "--accounts"], ["{run}", "--json"]],
    "first-passage": [["{resolved}", "--paths", "10", "--horizon", "1h"]],
    "export": [["{run}", "--events", "events.csv", "--audit", "audit.csv"], ["{run}", "--lobster", "lobster"]],
    "verify": [["{run}"]],
    "doctor": [[]],
}  # fmt: skip
"""By command, what it is asked; a command that is not here has no place in the command line."""


# ---- the folders ----------------------------------------------------------------------------------------------------


def code(run: Path, world: Path) -> None:
    """Classes in the scenario, and their modules beside it and in the current folder."""
    resolved = run / "scenario.resolved.yaml"
    kept = [line for line in resolved.read_text().splitlines() if line.startswith(("name:", "duration:", "contract:"))]
    resolved.write_text("\n".join(kept[:2]) + USER_CLASSES.format(here=run))
    (run / "scenario.yaml").write_text(resolved.read_text())


def texts(run: Path, world: Path) -> None:
    """Markup, escape codes, formulas and mathematics in every text."""
    evil = json.dumps(MARKUP + ESCAPES)
    for name in ("scenario.resolved.yaml", "scenario.yaml"):
        lines = (run / name).read_text().splitlines()
        kept = [line for line in lines if not line.startswith(("question:", "description:"))]
        (run / name).write_text(f"# {MARKUP}\nquestion: {evil}\ndescription: {evil}\n" + "\n".join(kept) + "\n")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest |= dict.fromkeys(("scenario", "scenario_digest", "model_version", "git", "host"), MARKUP + ESCAPES)
    manifest |= {"warnings": [{"text": MARKUP + ESCAPES}], "left_out": [MARKUP + ESCAPES], "command": [MARKUP]}
    manifest["twin_of"] = {"run": MARKUP + ESCAPES, "without": [MARKUP + ESCAPES], "scenario_digest": ESCAPES}
    (run / "manifest.json").write_text(json.dumps(manifest))
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, MARKUP: MARKUP, "event_digest": ESCAPES}))


def paths(run: Path, world: Path) -> None:
    """Names that lead elsewhere, wherever a name stands."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    away = "x/../../../../../home/folder/away"
    manifest = json.loads((run / "manifest.json").read_text())
    manifest |= {"markets": [away, "/etc/passwd"], "scenario": away, "name": away, "seed": 1, "scenario_digest": away}
    manifest["twin_of"] = {"run": away, "without": [away], "scenario_digest": away}
    (run / "manifest.json").write_text(json.dumps(manifest))
    table = pq.read_table(run / "series.parquet")
    half = table.num_rows // 2
    places = pa.array(["main"] * half + [away] * (table.num_rows - half))
    pq.write_table(table.set_column(table.column_names.index("market"), "market", places), run / "series.parquet")
    with (run / "scenario.resolved.yaml").open("a") as file:
        file.write(f"# {away}\n")


def files(run: Path, world: Path) -> None:
    """A scenario that is made of files of the user's."""
    text = (run / "scenario.resolved.yaml").read_text()
    replay = (
        "index: {fundamental: {type: replay, file: /etc/passwd}}\nextends: [/etc/passwd, ../../../home/precious.txt]\n"
    )
    (run / "scenario.resolved.yaml").write_text(replay + "".join(
        line for line in text.splitlines(True) if line.startswith(("name:", "duration:", "populations:"))
    ))  # fmt: skip


def links(run: Path, world: Path) -> None:
    """Links to files and folders outside, where commands write."""
    for name in ("figures", "counterfactuals", "audit"):
        shutil.rmtree(run / name, ignore_errors=True)
        (run / name).symlink_to(world / "home" / "folder")
    for name in ("report.html", "manifest.json.new", "checkpoint.new"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(world / "home" / "precious.txt")
    twins = run.parent / "twins"
    twins.mkdir()
    (twins / "evil-without-x-00000000-s1").symlink_to(world / "home" / "folder")
    (run.parent / f".tmp-evil-{2**22}").symlink_to(world / "home" / "folder")
    (run.parent / f".old-evil2-{2**22}").symlink_to(world / "home" / "folder")


def bombs(run: Path, world: Path) -> None:
    """Texts that grow when they are read."""
    (run / "scenario.resolved.yaml").write_text(BOMB + "name: bomb\nduration: 1s\n")
    (run / "scenario.yaml").write_text("[" * 50_000)
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(
        json.dumps(summary)[:-1] + ', "deep": ' + "[" * 200_000 + "]" * 200_000 + ', "big": ' + "9" * 100_000 + "}"
    )


def devices(run: Path, world: Path) -> None:
    """Pipes that nobody writes to, files without end."""
    for name in ("series.parquet", "scenario.yaml"):
        (run / name).unlink()
    os.mkfifo(run / "series.parquet")
    os.mkfifo(run / "scenario.yaml")
    (run / "scenario.resolved.yaml").unlink()
    (run / "scenario.resolved.yaml").symlink_to("/dev/zero")


def pickles(run: Path, world: Path) -> None:
    """Tables and archives with pickles in them, and types that nobody expects."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    program = whole(ATTACKS["os.system"])

    class Acts:
        def __reduce__(self) -> Any:
            return os.system, ("touch " + str(world / "EXECUTED"),)

    np.savez(run / "liquidation_map.npz", markets=np.array([Acts()], object))
    table = pq.read_table(run / "series.parquet")
    odd = pa.array([{"a": [1, 2]}] * table.num_rows)
    extension = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": program}
    field = pa.field("odd", odd.type, metadata=extension)
    raw = pa.field("raw", pa.binary(), metadata=extension)
    table = table.append_column(field, odd).append_column(raw, pa.array([program] * table.num_rows))
    pq.write_table(
        table.replace_schema_metadata({b"pandas": program, b"ARROW:schema": program}), run / "series.parquet"
    )
    accounts = pq.read_table(run / "accounts.parquet")
    first = accounts.column_names[-1]
    pq.write_table(
        accounts.set_column(len(accounts.column_names) - 1, first, pa.array([[b"x"]] * accounts.num_rows)),
        run / "accounts.parquet",
    )


def numbers(run: Path, world: Path) -> None:
    """Values where others are expected."""
    manifest = json.loads((run / "manifest.json").read_text())
    manifest |= {"seed": 10**400, "markets": 3, "start_ns": "x", "warnings": 3, "figures": "yes", "twin_of": 3}
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "summary.json").write_text(json.dumps(dict.fromkeys(json.loads((run / "summary.json").read_text()))))


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "code": code, "texts": texts, "paths": paths, "files": files, "links": links, "bombs": bombs, "devices": devices,
    "pickles": pickles, "numbers": numbers,
}  # fmt: skip


def make(kind: str, base: Path, world: Path) -> Path:
    """The foreign folder of that kind; `world/home` is what must not change."""
    foreign = world / "foreign"
    shutil.rmtree(foreign, ignore_errors=True)
    run = foreign / "runs" / "evil"
    shutil.copytree(base, run)
    program = CODE.format(marker=str(world / "EXECUTED"))
    for name in ("innocent", "numpy", "yaml", "pandas", "statsmodels", "SALib", "typing", "json", "matplotlib", "mesa"):
        for folder in (foreign, run):
            (folder / f"{name}.py").write_text(program)
    partial = foreign / "runs" / "held.partial"
    shutil.copytree(base, partial)
    (partial / "manifest.json").unlink()
    _checkpoint(partial, run, kind)
    _sweep(foreign / "runs" / "sweeps" / "evil", run, kind)
    (foreign / "scenarios").mkdir()
    KINDS[kind](run, world)
    seal_run(run)
    with contextlib.suppress(OSError):
        if not (run / "scenario.resolved.yaml").is_symlink():
            shutil.copy(run / "scenario.resolved.yaml", foreign / "scenarios" / "evil.yaml")
    return foreign


def _checkpoint(partial: Path, run: Path, kind: str) -> None:
    from marginquake.sim.runs import checkpoint

    job = {
        "name": "../../home/held" if kind == "paths" else "held", "scenario_digest": "0", "seed": 1,
        "every_ns": 10**9, "check_invariants": False, "figures": True, "python_path": [str(run)],
        "command": [MARKUP + ESCAPES], "now_ns": 0, "duration_ns": 10**9, "wall_seconds": 0.0, "resumed_at_s": [],
        "twin_of": None,
    }  # fmt: skip
    header = json.dumps({"made_with": checkpoint.made_with(), "job": job}).encode()
    body = {"code": ATTACKS["import"], "bombs": ATTACKS["a large bytearray"]}.get(kind, ATTACKS["os.system"])
    (partial / "checkpoint").write_bytes(sealed_checkpoint(header + b"\n", whole(body)))


def _sweep(folder: Path, run: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = MARKUP + ESCAPES if kind == "texts" else "x"
    name = "../../../../home" if kind == "paths" else "evil-00000000-s1"
    (folder / "points").mkdir(parents=True)
    shutil.copytree(run, folder / "points" / "evil-00000000-s1", ignore=shutil.ignore_patterns("*.py"))
    scenario = folder.parents[2] / "scenarios" / "evil.yaml"
    (folder / "sweep.yaml").write_text(
        f"name: evil\nquestion: is it?\nscenario: {scenario}\nseeds: 1\nset: [duration=1s]\n"
        "axes:\n  depth: {path: depth_1pct, values: [1M, 2M]}\n"
    )
    plan = {
        "schema_version": 1, "model_version": "4", "name": "../../../home" if kind == "paths" else "evil",
        "question": text, "scenario": str(run / "scenario.resolved.yaml"), "design": "grid",
        "axes": [{"name": "depth", "label": text, "scale": "linear", "low": None, "high": None}],
        "points": [{"point": 0, "values": {"depth": 1.0}, "overrides": [text], "runs": {"1": name}},
                   {"point": 1, "values": {"depth": 2.0}, "overrides": [], "runs": {"1": name}}],
        "seeds": [1], "event": {"metric": "margin_calls", "above": 3},
    }  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(plan))
    (folder / "tipping.json").write_text(json.dumps({"probability": text, "parameter": "../../x"}))
    (folder / "failures.json").write_text(json.dumps([{"point": 0, "seed": 1, "error": text}]))
    columns = {"point": [0, 1], "axis_depth": [1.0, 2.0], "seed": [1, 1], "run": [name] * 2, "event": [True, False],
               "max_drawdown_fraction": [0.1, 0.2], "margin_calls": [3, 4]}  # fmt: skip
    pq.write_table(pa.table(columns), folder / "results.parquet")
    if kind == "links":
        (folder / "figures").symlink_to(folder.parents[3] / "home" / "folder")
        (folder / "report.html").symlink_to(folder.parents[3] / "home" / "precious.txt")


# ---- the commands ---------------------------------------------------------------------------------------------------


def asked(foreign: Path, most_ways: int, is_first: bool) -> Iterator[list[str]]:
    """Every command over the folder; those that read none only over the first."""
    runs = foreign / "runs"
    places = {
        "run": runs / "evil", "partial": runs / "held.partial", "sweep": runs / "sweeps" / "evil",
        "resolved": runs / "evil" / "scenario.resolved.yaml", "source": runs / "evil" / "scenario.yaml",
    }  # fmt: skip
    for command, ways in COMMANDS.items():
        for way in ways[:most_ways] if is_first or any(ways) else ():
            yield [command, *(argument.format(**places) for argument in way)]


def snapshot(folder: Path) -> dict[str, str]:
    """What is in a folder, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else os.path.realpath(path)
        found[str(path.relative_to(folder))] = content
    return found


def main() -> None:
    """All kinds that were asked for."""
    from typer.testing import CliRunner

    from marginquake.sim.cli import main as command_line

    base, world, most_ways, *kinds = sys.argv[1:]
    home = Path(world) / "home"
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    report: dict[str, Any] = {kind: {"commands": 0, "faults": []} for kind in kinds}

    executed: list[str] = []
    inside = [""]

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        if not inside[0]:
            return
        if event == "exec" and getattr(arguments[0], "co_filename", "").startswith(inside[0]):
            executed.append(f"exec {arguments[0].co_filename}")
        elif event in ("os.system", "webbrowser.open") or (event == "pickle.find_class" and arguments[0] in ACTING):
            executed.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(guard)

    def too_long(*_: object) -> None:
        raise TimeoutError("too long")

    signal.signal(signal.SIGALRM, too_long)
    for kind in kinds:
        foreign = make(kind, Path(base), Path(world))
        os.chdir(foreign)
        before, path_before = snapshot(home), list(sys.path)
        for command in asked(foreign, int(most_ways), kind == kinds[0]):
            inside[0] = str(foreign)
            begun = time.perf_counter()
            signal.alarm(SECONDS)
            with contextlib.redirect_stderr(io.StringIO()):
                result = CliRunner().invoke(command_line.app, command)
            signal.alarm(0)
            inside[0] = ""
            report[kind]["commands"] += 1
            shown = " ".join(command).replace(str(foreign), ".")
            said = result.output
            error = result.exception
            faults = [f"executed {each}" for each in executed]
            faults += ["executed its code"] * (Path(world) / "EXECUTED").exists()
            if error is not None and not isinstance(error, SystemExit):
                faults.append(f"ended with {type(error).__name__}: {str(error)[:150]}")
            if result.exit_code not in (0, 1, 2):
                faults.append(f"exit code {result.exit_code}")
            if "Traceback" in said:
                faults.append("a traceback")
            if "failed: " in said:
                faults.append(f"no sentence: {said[said.index('failed: ') :][:150]}")
            if any(sign in said for sign in ("\x1b]", "\x1b[31m", "\x07")):
                faults.append("escape codes reach the terminal")
            if time.perf_counter() - begun > SECONDS:
                faults.append("too long")
            now = snapshot(home)
            if now != before:
                faults.append(f"changed {sorted(set(now.items()) ^ set(before.items()))[:3]}")
                shutil.rmtree(home)
                make_home(Path(world))
            if sys.path != path_before:
                faults.append(f"looks for modules in {sorted(set(sys.path) - set(path_before))}")
                sys.path[:] = path_before
            for page in foreign.rglob("*.html"):
                if page.is_file() and MARKUP[:8] + "alert" in page.read_text(errors="replace"):
                    faults.append(f"markup in {page.name}")
                    page.unlink()
            report[kind]["faults"] += [f"{shown}: {fault}" for fault in faults]
            executed.clear()
            (Path(world) / "EXECUTED").unlink(missing_ok=True)
    report["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report))


def make_home(world: Path) -> None:
    """What belongs to the user, and is nobody else's business."""
    folder = world / "home" / "folder"
    folder.mkdir(parents=True)
    (world / "home" / "precious.txt").write_text("precious\n")
    for name in ("main-00007.parquet", "price.png", "kept.txt", "manifest.json", "report.html"):
        (folder / name).write_text("precious\n")


if __name__ == "__main__":
    main()
