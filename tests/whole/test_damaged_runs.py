"""A file of a run, a checkpoint or a sweep, damaged: whoever reads it says one sentence, or what he said before.

In the suite a share of all damages and commands, drawn by seed; all of them with `MARGINQUAKE_THOROUGH=1`.
"""

import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from marginquake.sim.studies import run as running
from tests.golden import THOROUGH
from tests.support.command_line import marginquake
from tests.support.faults.commits import JOB, MODEL
from tests.support.paths import TINY, TINY_SWEEP

DAMAGES = ("cut", "emptied", "flipped", "missing", "swapped")
READERS: Sequence[tuple[str, ...]] = (
    ("show",), ("explain",), ("liquidations",), ("liquidations", "--accounts"), ("clusters",), ("risk",), ("facts",),
    ("replay", "--quiet"), ("early-warning",), ("verify",), ("counterfactual", "--without", "stops"),
    ("plot", "--figure", "price"), ("report",),
)  # fmt: skip
SLOW = ("counterfactual", "plot", "report", "replay", "facts")
TRIES = 90
"""In the suite."""


@dataclass(frozen=True)
class Answer:
    """What a command said of the run as it was."""

    exit_code: int
    output: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return running.run(TINY, 1, folder, "tiny", figures=False).path


@pytest.fixture(scope="module")
def answers(whole: Path) -> dict[tuple[str, ...], Answer]:
    found = {}
    for command in READERS:
        if THOROUGH or command[0] not in SLOW:
            done = marginquake(command[0], whole, *command[1:])
            found[command] = Answer(done.exit_code, done.stdout)
    return found


def damages(whole: Path) -> Iterator[tuple[str, str]]:
    """Every file of the run with everything that may happen to it."""
    for file in sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()):
        for damage in DAMAGES:
            yield file, damage


def damage(file: Path, how: str, others: Sequence[Path], draw: random.Random) -> None:
    content = bytearray(file.read_bytes())
    if how == "missing":
        file.unlink()
        return
    if how == "cut":
        del content[draw.randrange(len(content)) :]
    elif how == "emptied":
        content.clear()
    elif how == "flipped":
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    else:
        content[:] = draw.choice(others).read_bytes()
    file.write_bytes(content)


def assert_one_sentence(done: object, what: str) -> None:
    text = str(getattr(done, "output", ""))
    assert "Traceback" not in text, f"{what}: {text[-600:]}"
    assert "failed: " not in text, f"{what}: {text[-600:]}"
    for name in ("ArrowInvalid", "KeyError", "BadZipFile", "JSONDecodeError", "UnicodeDecodeError", "EOFError"):
        assert name not in text, f"{what}: {text[-600:]}"


def test_whoever_reads_a_damaged_run_says_a_sentence_or_what_he_said_before(
    whole: Path, answers: dict[tuple[str, ...], Answer], tmp_path: Path
) -> None:
    draw = random.Random(5)
    cases = [(file, how, command) for file, how in damages(whole) for command in answers]
    counts: Counter[str] = Counter()
    for number, (file, how, command) in enumerate(cases if THOROUGH else draw.sample(cases, TRIES)):
        run = Path(shutil.copytree(whole, tmp_path / str(number) / whole.name))
        others = [path for path in sorted(run.rglob("*")) if path.is_file() and path != run / file]
        damage(run / file, how, others, draw)
        what = f"{' '.join(command)}, {file} {how}"
        done = marginquake(command[0], run, *command[1:])
        assert_one_sentence(done, what)
        said = done.stdout.replace(str(run), str(whole))
        if done.exit_code in (1, 2) and command[0] != "verify":
            assert done.exit_code == 2 or done.exit_code == answers[command].exit_code, what
            counts["refused"] += 1
        elif command[0] == "verify":
            counts[f"verify {done.exit_code}"] += 1
        else:
            assert (done.exit_code, said) == (answers[command].exit_code, answers[command].output), what
            counts["as before"] += 1
        shutil.rmtree(tmp_path / str(number))
    print(f"{sum(counts.values())} damages: {dict(counts)}")
    assert counts["refused"] > 0
    assert counts["as before"] > 0


def test_verify_finds_every_damage(whole: Path, tmp_path: Path) -> None:
    draw = random.Random(7)
    for number, (file, how) in enumerate(damages(whole)):
        run = Path(shutil.copytree(whole, tmp_path / str(number) / whole.name))
        others = [path for path in sorted(run.rglob("*")) if path.is_file() and path != run / file]
        before = (run / file).read_bytes()
        damage(run / file, how, others, draw)
        if (run / file).is_file() and (run / file).read_bytes() == before:
            continue
        done = marginquake("verify", run)
        assert done.exit_code in (1, 2), f"{file} {how}: {done.output}"
        assert_one_sentence(done, f"verify, {file} {how}")
        shutil.rmtree(tmp_path / str(number))


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_neighbour_is_listed_and_the_rest_is_shown(whole: Path, tmp_path: Path, how: str) -> None:
    shutil.copytree(whole, tmp_path / "good")
    bad = Path(shutil.copytree(whole, tmp_path / "bad"))
    damage(bad / "manifest.json", how, [bad / "summary.json"], random.Random(3))
    done = marginquake("list", "runs", "--out", tmp_path)
    assert done.exit_code == 0
    assert str(tmp_path / "good") in done.stdout
    assert_one_sentence(done, how)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_is_refused_in_a_sentence(tmp_path: Path, how: str) -> None:
    from marginquake.sim.runs import partial_runs
    from marginquake.sim.runs.checkpoint import FILE, write_checkpoint

    with partial_runs.begun(tmp_path, JOB.name, lambda hidden: write_checkpoint(hidden, JOB, MODEL)) as folder:
        pass
    damage(folder / FILE, how, [TINY], random.Random(11))
    done = marginquake("run", "--resume", folder, "--quiet")
    assert done.exit_code == 2, done.output
    assert_one_sentence(done, how)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    done = marginquake("sweep", TINY_SWEEP, "--workers", "1", "--out", folder)
    assert done.exit_code == 0, done.output
    return folder / "sweeps" / "tiny_sweep"


def test_a_damaged_sweep_is_refused_in_a_sentence_or_made_whole(sweep: Path, tmp_path: Path) -> None:
    draw = random.Random(9)
    cases = [(file, how) for file, how in damages(sweep) if not file.startswith("figures")]
    for number, (file, how) in enumerate(cases if THOROUGH else draw.sample(cases, 12)):
        copied = Path(shutil.copytree(sweep, tmp_path / str(number) / "sweeps" / sweep.name))
        others = [path for path in sorted(copied.rglob("*")) if path.is_file() and path != copied / file]
        damage(copied / file, how, others, draw)
        for command in ("verify", "report") if THOROUGH else ("verify",):
            done = marginquake(command, copied)
            assert done.exit_code in (0, 1, 2)
            assert_one_sentence(done, f"{command}, {file} {how}")
        shutil.rmtree(tmp_path / str(number))
