"""Hidden names for what is being made, moved or deleted, and what killed processes leave under them.

`.tmp-<name>-<token>` is on its way in or out; `.old-<name>-<token>` had the name until another one came to take it;
`.lock-<token>` is the claim of whoever is at it (sim/runs/locks.py).  Tokens are random: two containers count their
processes alike.  What is surely dead is swept by the next run; what might live is left to `clean --leftovers`.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.disk import remove
from marginquake.sim.runs import interrupts, locks
from marginquake.sim.runs.locks import Claimed, State

CLAIM = ".lock-"
"""Before a token, or the name of a folder that somebody is at."""
_HIDDEN = re.compile(r"\.(?P<what>tmp|old)-(?P<name>.+)-(?P<token>[0-9a-f]{12}|[0-9]+)\Z", re.DOTALL)
_CLAIM = re.compile(rf"{re.escape(CLAIM)}(?P<name>[0-9a-f]{{12}}|.+\.partial)\Z", re.DOTALL)
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room, not even for a claim."""


@final
@dataclass(frozen=True, slots=True)
class Leftover:
    """Something hidden of which nobody here can say whether its process lives.

    `why`: in words.  `quiet_s`: seconds since its last sign of life.
    """

    path: Path
    why: str
    quiet_s: float


@contextlib.contextmanager
def hidden(parent: Path, what: str, name: str) -> Iterator[Path]:
    """A free hidden path below `parent`, claimed during the block; what is left there at its end is deleted.

    `what`: `tmp`, or `old` for what had the name until now.
    """
    with contextlib.ExitStack() as stack:
        with interrupts.held_back():
            claim = _new_claim(parent)
            path = parent / f".{what}-{name}-{claim.file.name.removeprefix(CLAIM)}"
            stack.callback(_end, path, claim)
        yield path


def _end(path: Path, claim: locks.Claim) -> None:
    with interrupts.held_back():
        remove(path)
        claim.release(remove=not os.path.lexists(path))


@contextlib.contextmanager
def scratch(what: str) -> Iterator[Path]:
    """A folder for what is needed during the block only, among the temporary files of this machine.

    What workers leave there that are killed goes with the next one.
    """
    parent = scratch_folder()
    sweep_leftovers(parent)
    with hidden(parent, "tmp", what) as folder:
        disk.make_folder(folder)
        yield folder


def scratch_folder() -> Path:
    """Where this user's scratch folders lie; nobody else may have made it."""
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"marginquake-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        disk.make_folder(folder, 0o700)
    seen = folder.lstat()
    if stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="marginquake-"))


def delete(path: Path) -> bool:
    """Take a folder's name away at once, then delete it; False if somebody else has done that."""
    with contextlib.ExitStack() as stack:
        try:
            away = stack.enter_context(hidden(path.parent, "tmp", path.name))
        except OSError as error:
            if error.errno not in FULL:  # no room for a claim: to make some is what this is for
                raise
            away = path.with_name(f".tmp-{path.name}-{secrets.token_hex(6)}")
            stack.callback(remove, away)
        try:
            disk.move(path, away)
        except FileNotFoundError:
            return False
    return True


def sweep_leftovers(parent: Path) -> None:
    """Remove what killed processes left behind; put back what was renamed away and never replaced."""
    for file in _claims(parent):
        name = file.name.removeprefix(CLAIM)
        if os.path.lexists(parent / name):  # of a folder that is still there: it is taken over by whoever wants that
            continue
        claim = locks.take_over(file)
        if claim is None:
            continue
        for path in _hidden_of(parent, name):
            _settle(path)
        claim.release(remove=not _hidden_of(parent, name))


def left_behind(parent: Path) -> list[Leftover]:
    """What `sweep_leftovers` leaves because it might be somebody's, by name."""
    found = []
    for path in _entries(parent):
        if (token := _token(path)) is None:
            continue
        file = parent / f"{CLAIM}{token}"
        is_claimed = os.path.lexists(file)
        state, owner = locks.look(file)
        if state is State.LIVES or (is_claimed and state is State.FREE) or not os.path.lexists(path):
            continue
        why = f"of {owner or 'a process that does not say who it is'}, which cannot be seen from here"
        if not is_claimed:
            why = "without a claim: of an older marginquake, or of a process that had no room for one"
        found.append(Leftover(path, why, max(0.0, time.time() - _last_sign(path, file))))
    return found


def delete_leftovers(parent: Path, quiet_s: float) -> list[Leftover]:
    """Delete what `left_behind` names and has given no sign of life for so long; returns it."""
    done = [each for each in left_behind(parent) if each.quiet_s >= quiet_s]
    for each in done:
        _settle(each.path)
        remove(parent / f"{CLAIM}{_token(each.path)}")
    return done


def _token(path: Path) -> str | None:
    """Of something hidden, or of the claim of what is gone already; None for everything else."""
    if (match := _HIDDEN.match(path.name)) is not None:
        return match["token"]
    match = _CLAIM.match(path.name)
    if match is None or os.path.lexists(path.with_name(match["name"])) or _hidden_of(path.parent, match["name"]):
        return None
    return match["name"]


def _new_claim(parent: Path) -> locks.Claim:
    for _ in range(locks.ATTEMPTS):
        disk.make_folders(parent)
        with contextlib.suppress(Claimed, FileNotFoundError):  # it may be removed meanwhile by whoever made it
            return locks.claim(parent / f"{CLAIM}{secrets.token_hex(6)}")
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))


def _settle(path: Path) -> None:
    """Put back what had a name that nobody has now; else delete."""
    match = _HIDDEN.match(path.name)
    if match is not None and match["what"] == "old" and not os.path.lexists(path.with_name(match["name"])):
        target = path.with_name(match["name"])
        try:
            disk.move(path, target)
        except OSError:
            if not os.path.lexists(target):  # else somebody has taken the name meanwhile
                return
    remove(path)


def _claims(parent: Path) -> list[Path]:
    return [path for path in _entries(parent) if _CLAIM.match(path.name)]


def _hidden_of(parent: Path, token: str) -> list[Path]:
    matches = ((path, _HIDDEN.match(path.name)) for path in _entries(parent))
    return [path for path, match in matches if match is not None and match["token"] == token]


def _entries(parent: Path) -> list[Path]:
    """Hidden entries of a folder by name; none where it cannot be read."""
    try:
        names = os.listdir(parent)
    except OSError:
        return []
    return [parent / name for name in sorted(names) if name.startswith(".")]


def _last_sign(path: Path, file: Path) -> float:
    """When something last happened to it, seconds since 1970."""
    times = [0.0]
    for place in (file, path, *(path.rglob("*") if path.is_dir() else ())):
        with contextlib.suppress(OSError):
            times.append(place.lstat().st_mtime)
    return max(times)
